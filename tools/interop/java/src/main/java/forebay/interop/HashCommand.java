package forebay.interop;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.paimon.data.BinaryRow;
import org.apache.paimon.data.serializer.InternalRowSerializer;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.types.DataField;
import org.apache.paimon.types.DataTypeJsonParser;
import org.apache.paimon.types.RowType;
import org.apache.paimon.utils.SerializationUtils;

/** A row of "values" of the "types" as a BinaryRow: its bytes with the arity before them, its hash, and with "buckets" its default bucket. */
final class HashCommand {
    private HashCommand() {}

    static ObjectNode hash(JsonNode arguments) {
        JsonNode types = arguments.get("types");
        JsonNode values = arguments.get("values");
        if (types == null || values == null || types.size() != values.size()) {
            throw new IllegalArgumentException("\"types\" and \"values\" must be arrays of one length");
        }
        List<DataField> fields = new ArrayList<>();
        ObjectNode named = Json.object();
        for (int i = 0; i < types.size(); i++) {
            fields.add(new DataField(i, "f" + i, DataTypeJsonParser.parseDataType(types.get(i))));
            named.set("f" + i, values.get(i));
        }
        RowType type = new RowType(fields);
        BinaryRow row = new InternalRowSerializer(type).toBinaryRow(Values.rowOf(type, named)).copy();
        int hash = row.hashCode();
        ObjectNode answer = Json.object()
                .put("bytes", HexFormat.of().formatHex(SerializationUtils.serializeBinaryRow(row)))
                .put("hash", hash);
        if (arguments.hasNonNull("buckets")) {
            answer.put("bucket", Math.abs(hash % (int) Server.number(arguments, "buckets", 1)));
        }
        return answer;
    }
}
