package forebay.interop;

import java.lang.reflect.Array;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.MultisetType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;
import org.apache.flink.types.Row;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** Flink's external values to JSON, by the same rules as {@link Values}. */
final class FlinkValues {
    private static final DateTimeFormatter SECONDS = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss");
    private static final DateTimeFormatter DAY = DateTimeFormatter.ofPattern("uuuu-MM-dd");
    private static final DateTimeFormatter MILLIS = DateTimeFormatter.ofPattern("HH:mm:ss.SSS");

    private FlinkValues() {}

    static JsonNode toJson(LogicalType type, Object value) {
        if (value == null) {
            return Json.NODES.nullNode();
        }
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return Json.NODES.booleanNode((Boolean) value);
            case TINYINT:
            case SMALLINT:
            case INTEGER:
            case BIGINT:
                return Json.NODES.numberNode(((Number) value).longValue());
            case FLOAT:
                float single = (Float) value;
                return Float.isFinite(single) ? Json.NODES.numberNode(single) : Json.NODES.textNode(Float.toString(single));
            case DOUBLE:
                double wide = (Double) value;
                return Double.isFinite(wide) ? Json.NODES.numberNode(wide) : Json.NODES.textNode(Double.toString(wide));
            case DECIMAL:
                return Json.NODES.numberNode((BigDecimal) value);
            case CHAR:
            case VARCHAR:
                return Json.NODES.textNode(value.toString());
            case BINARY:
            case VARBINARY:
                return Json.NODES.textNode(Base64.getEncoder().encodeToString((byte[]) value));
            case DATE:
                return Json.NODES.textNode(((LocalDate) value).format(DAY));
            case TIME_WITHOUT_TIME_ZONE:
                return Json.NODES.textNode(((LocalTime) value).format(MILLIS));
            case TIMESTAMP_WITHOUT_TIME_ZONE:
                return Json.NODES.textNode(dateTime(type, (LocalDateTime) value));
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return Json.NODES.textNode(dateTime(type, LocalDateTime.ofInstant((Instant) value, ZoneOffset.UTC)) + "Z");
            case ARRAY:
                ArrayNode array = Json.array();
                for (int i = 0; i < Array.getLength(value); i++) {
                    array.add(toJson(((ArrayType) type).getElementType(), Array.get(value, i)));
                }
                return array;
            case MAP:
                return entries(((MapType) type).getKeyType(), ((MapType) type).getValueType(), (Map<?, ?>) value);
            case MULTISET:
                return entries(((MultisetType) type).getElementType(), new IntType(), (Map<?, ?>) value);
            case ROW:
                ObjectNode object = Json.object();
                List<RowType.RowField> fields = ((RowType) type).getFields();
                for (int i = 0; i < fields.size(); i++) {
                    object.set(fields.get(i).getName(), toJson(fields.get(i).getType(), ((Row) value).getField(i)));
                }
                return object;
            default:
                throw new UnsupportedOperationException("this program has no JSON form for " + type);
        }
    }

    private static String dateTime(LogicalType type, LocalDateTime time) {
        int digits = LogicalTypeChecks.getPrecision(type);
        String text = time.format(SECONDS);
        return digits == 0 ? text : text + "." + String.format("%09d", time.getNano()).substring(0, digits);
    }

    private static ArrayNode entries(LogicalType key, LogicalType value, Map<?, ?> map) {
        List<ArrayNode> entries = new ArrayList<>();
        map.forEach((k, v) -> entries.add(Json.array().add(toJson(key, k)).add(toJson(value, v))));
        entries.sort(Comparator.comparing(entry -> entry.get(0), Values::compareKeys));
        ArrayNode json = Json.array();
        entries.forEach(json::add);
        return json;
    }
}
