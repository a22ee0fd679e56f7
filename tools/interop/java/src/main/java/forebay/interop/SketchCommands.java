package forebay.interop;

import java.io.IOException;
import java.util.Base64;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.shade.org.apache.datasketches.hll.HllSketch;
import org.apache.paimon.shade.org.apache.datasketches.hll.TgtHllType;
import org.apache.paimon.shade.org.apache.datasketches.theta.UpdateSketch;
import org.apache.paimon.utils.HllSketchUtil;
import org.apache.paimon.utils.RoaringBitmap64;
import org.apache.paimon.utils.ThetaSketch;

/** Serialised sketches and bitmaps as the aggregate functions take and make them, in base64. */
final class SketchCommands {
    private SketchCommands() {}

    /** A sketch for the function of numbers: "ranges" of [first, step, count]. */
    static ObjectNode sketch(JsonNode arguments) throws IOException {
        int lgK = (int) Server.number(arguments, "lgK", 12);
        JsonNode ranges = arguments.get("ranges");
        String function = arguments.get("function").asText();
        byte[] bytes;
        switch (function) {
            case "rbm64":
                RoaringBitmap64 bitmap = new RoaringBitmap64();
                each(ranges, bitmap::add);
                bytes = bitmap.serialize();
                break;
            case "hll_sketch":
                String registers = arguments.hasNonNull("registers") ? arguments.get("registers").asText() : "HLL_4";
                HllSketch hll = new HllSketch(lgK, TgtHllType.valueOf(registers));
                each(ranges, hll::update);
                bytes = hll.toCompactByteArray();
                break;
            case "theta_sketch":
                UpdateSketch theta = UpdateSketch.builder().setNominalEntries(1 << lgK).build();
                each(ranges, theta::update);
                bytes = theta.compact().toByteArray();
                break;
            default:
                throw new IllegalArgumentException(function);
        }
        return answer(bytes);
    }

    /** What the function makes "of" some values, one after another. */
    static ObjectNode unite(JsonNode arguments) throws IOException {
        byte[] there = null;
        for (JsonNode value : arguments.get("of")) {
            byte[] comes = Base64.getDecoder().decode(value.asText());
            there = there == null ? comes : united(arguments.get("function").asText(), there, comes);
        }
        return answer(there);
    }

    private static byte[] united(String function, byte[] there, byte[] comes) throws IOException {
        switch (function) {
            case "rbm64":
                RoaringBitmap64 bitmap = new RoaringBitmap64();
                bitmap.deserialize(there);
                RoaringBitmap64 more = new RoaringBitmap64();
                more.deserialize(comes);
                bitmap.or(more);
                return bitmap.serialize();
            case "hll_sketch":
                return HllSketchUtil.union(there, comes);
            case "theta_sketch":
                return ThetaSketch.union(there, comes);
            default:
                throw new IllegalArgumentException(function);
        }
    }

    private interface Taker {
        void take(long number);
    }

    private static void each(JsonNode ranges, Taker taker) {
        for (JsonNode range : ranges) {
            for (long at = 0; at < range.get(2).asLong(); at++) {
                taker.take(range.get(0).asLong() + at * range.get(1).asLong());
            }
        }
    }

    private static ObjectNode answer(byte[] bytes) {
        return Json.object().put("bytes", Base64.getEncoder().encodeToString(bytes));
    }
}
