// Prints golden bytes of Kafka messages as the classes of kafka-clients and the coordinators encode them.
//
//   java -cp JARS MakeVectors NAME...     NAME as in proto/kafka, e.g. ProduceRequest, OffsetCommitValue
//
// One line per message, version and kind: "NAME VERSION KIND HEX", KIND being defaults, full or nulls. A version that
// the class does not have is left out; so is a name without a class. The rule by which fields are filled is that of
// tests/unit/kafka/filler.h.
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

public final class MakeVectors {
    private static final String[] PACKAGES = {
        "org.apache.kafka.common.message.",
        "org.apache.kafka.coordinator.group.generated.",
        "org.apache.kafka.coordinator.transaction.generated.",
    };

    private final boolean nulls;
    private long count = 0;
    private int depth = 0;

    private MakeVectors(boolean nulls) {
        this.nulls = nulls;
    }

    public static void main(String[] names) throws Exception {
        for (String name : names) {
            Class<?> type = find(name);
            if (type == null) {
                System.err.println("no class for " + name);
                continue;
            }
            Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
            for (int version = 0; version < schemas.length; version++) {
                if (schemas[version] == null) continue;
                for (String kind : new String[] {"defaults", "full", "nulls"}) {
                    Message message = (Message) type.getConstructor().newInstance();
                    if (!kind.equals("defaults")) {
                        new MakeVectors(kind.equals("nulls")).fill(message, schemas[version]);
                    }
                    System.out.println(name + " " + version + " " + kind + " " + hex(message, (short) version));
                }
            }
        }
    }

    private static Class<?> find(String name) {
        String inKafka = name.equals("ControlRecordType") ? "ControlRecordTypeSchema" : name;
        for (String prefix : PACKAGES) {
            for (String suffix : new String[] {"Data", ""}) {
                try {
                    return Class.forName(prefix + inKafka + suffix);
                } catch (ClassNotFoundException e) {
                    // the next place
                }
            }
        }
        return null;
    }

    private static String hex(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) throw new IllegalStateException("size and bytes differ");
        StringBuilder text = new StringBuilder();
        for (byte b : buffer.array()) text.append(String.format("%02x", b));
        return text.length() == 0 ? "-" : text.toString();
    }

    private void fill(Object target, Schema schema) throws Exception {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields) {
                // The accessor does not exist in 3.9.
                Field inside = TaggedFields.class.getDeclaredField("fields");
                inside.setAccessible(true);
                for (Object one : new TreeMap<Object, Object>((Map<?, ?>) inside.get(field.def.type)).values()) {
                    set(target, (org.apache.kafka.common.protocol.types.Field) one);
                }
            } else {
                set(target, field.def);
            }
        }
    }

    private void set(Object target, org.apache.kafka.common.protocol.types.Field def) throws Exception {
        Field field = null;
        for (Field candidate : target.getClass().getDeclaredFields()) {
            if (snake(candidate.getName()).equals(def.name)) field = candidate;
        }
        if (field == null) throw new IllegalStateException("no field " + def.name + " in " + target.getClass());
        String setter = "set" + Character.toUpperCase(field.getName().charAt(0)) + field.getName().substring(1);
        Method method = target.getClass().getMethod(setter, field.getType());
        Object value;
        if (nulls && def.type.isNullable()) {
            value = null;
        } else if (def.type.isArray()) {
            value = list(field, def.type.arrayElementType().get());
        } else if (def.type instanceof Schema) {
            value = field.getType().getConstructor().newInstance();
            fill(value, (Schema) def.type);
        } else {
            value = scalar(field.getType(), def.type);
        }
        method.invoke(target, value);
    }

    private Object list(Field field, Type elementType) throws Exception {
        Class<?> elementClass;
        Collection<Object> out;
        if (field.getType() == java.util.List.class) {
            elementClass = (Class<?>) ((ParameterizedType) field.getGenericType()).getActualTypeArguments()[0];
            out = new ArrayList<>();
        } else {
            ParameterizedType base = (ParameterizedType) field.getType().getGenericSuperclass();
            elementClass = (Class<?>) base.getActualTypeArguments()[0];
            @SuppressWarnings("unchecked")
            Collection<Object> made = (Collection<Object>) field.getType().getConstructor().newInstance();
            out = made;
        }
        int size = depth == 0 ? 2 : 1;
        depth++;
        for (int i = 0; i < size; i++) {
            if (elementType instanceof Schema) {
                Object element = elementClass.getConstructor().newInstance();
                fill(element, (Schema) elementType);
                out.add(element);
            } else {
                out.add(scalar(elementClass, elementType));
            }
        }
        depth--;
        return out;
    }

    private Object scalar(Class<?> type, Type wire) throws Exception {
        if (type == boolean.class || type == Boolean.class) return (next() & 1) == 1;
        if (type == byte.class || type == Byte.class) return (byte) next();
        if (type == short.class || type == Short.class) return (short) next();
        if (wire == Type.UINT16) return (int) (next() & 0xffff);
        if (type == int.class || type == Integer.class) return (int) next();
        if (type == long.class || type == Long.class) return next();
        if (type == double.class || type == Double.class) return (double) (int) next() * 0.25;
        if (type == Uuid.class) {
            long high = next();
            return new Uuid(high, next());
        }
        if (type == String.class) return string(next());
        if (type == byte[].class) return bytes(next());
        if (type == ByteBuffer.class) return ByteBuffer.wrap(bytes(next()));
        return records(ByteBuffer.wrap(bytes(next())));
    }

    // The class moved to another package between the releases.
    private static Object records(ByteBuffer content) throws Exception {
        Class<?> type;
        try {
            type = Class.forName("org.apache.kafka.common.record.MemoryRecords");
        } catch (ClassNotFoundException e) {
            type = Class.forName("org.apache.kafka.common.record.internal.MemoryRecords");
        }
        return type.getMethod("readableRecords", ByteBuffer.class).invoke(null, content);
    }

    private long next() {
        long x = ++count * 0x9e3779b97f4a7c15L;
        return x ^ x >>> 32;
    }

    private static String string(long x) {
        int length = (x & 63) == 0 ? 200 : (int) (x >>> 8 & 15);
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) text.append((char) ('a' + ((x >>> 16 & 0xff) + i) % 26));
        if ((x & 7) == 1) text.append("\u00e9");
        return text.toString();
    }

    private static byte[] bytes(long x) {
        byte[] content = new byte[(x & 31) == 0 ? 700 : (int) (x >>> 8 & 31)];
        for (int i = 0; i < content.length; i++) content[i] = (byte) (x + i);
        return content;
    }

    // As Kafka's message generator names the fields of its schemas.
    private static String snake(String camel) {
        StringBuilder out = new StringBuilder();
        boolean lastWasUpper = false;
        boolean first = true;
        for (char c : camel.toCharArray()) {
            if (Character.isUpperCase(c)) {
                if (lastWasUpper || first) out.append(Character.toLowerCase(c));
                else out.append('_').append(Character.toLowerCase(c));
                lastWasUpper = true;
            } else {
                out.append(c);
                lastWasUpper = false;
            }
            first = false;
        }
        return out.toString();
    }
}
