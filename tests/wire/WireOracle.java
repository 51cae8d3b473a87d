// The independent codec of the wire tests: builds and reads every Kafka message with the classes of kafka-clients.
//
//   WireOracle generate FILE            writes messages of every key, version and direction, with several seeds
//   WireOracle verify FILE MAPPED CUT   reads what wire_test made of them: names mapped; marked elements left out
//
// What must be mapped is stated here by hand and from Kafka's entityType, never from Sluice's own overlay.

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ConsumerProtocolAssignment;
import org.apache.kafka.common.message.ConsumerProtocolSubscription;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.record.internal.MemoryRecords;

public final class WireOracle {
    static final int REQUEST = 0, RESPONSE = 1, HEADER = 2, DATA = 3;
    static final int SEEDS = 6;
    static final String CUT = "-cut"; // ends the names whose elements are left out

    public static void main(String[] args) throws Exception {
        if (args.length == 2 && args[0].equals("generate")) {
            new Generator(args[1]).run();
        } else if (args.length == 4 && args[0].equals("verify")) {
            new Verifier().run(args[1], args[2], args[3]);
        } else {
            System.err.println("usage: WireOracle generate FILE | verify FILE MAPPED CUT");
            System.exit(2);
        }
    }

    // --- messages ---------------------------------------------------------------------------------------------------

    /** A message type of the jar: its definition and how to make one. */
    static final class Type {
        final String name;
        final int key;
        final int kind;
        final Spec spec;
        final int first;
        final int last;

        Type(int key, int kind, Message sample) throws IOException {
            String simple = sample.getClass().getSimpleName();
            this.name = kind == DATA ? simple : simple.substring(0, simple.length() - "Data".length());
            this.key = key;
            this.kind = kind;
            this.spec = Spec.load(name);
            this.first = sample.lowestSupportedVersion();
            this.last = sample.highestSupportedVersion();
        }

        Message make() throws ReflectiveOperationException {
            String suffix = kind == DATA ? "" : "Data";
            return (Message) Class.forName("org.apache.kafka.common.message." + name + suffix)
                .getDeclaredConstructor().newInstance();
        }

        Message read(byte[] bytes, int version) throws ReflectiveOperationException {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            Message message = make();
            message.read(new ByteBufferAccessor(buffer), (short) version);
            check(buffer.remaining() == 0, "%s v%d: %d bytes are left over", name, version, buffer.remaining());
            return message;
        }
    }

    static byte[] write(Message message, int version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, (short) version));
        message.write(new ByteBufferAccessor(buffer), cache, (short) version);
        return buffer.array();
    }

    static List<Type> types() throws IOException {
        List<Type> types = new ArrayList<>();
        for (ApiMessageType api : ApiMessageType.values()) {
            if (api.lowestSupportedVersion() > api.highestSupportedVersion(true)) {
                continue; // removed
            }
            types.add(new Type(api.apiKey(), REQUEST, api.newRequest()));
            types.add(new Type(api.apiKey(), RESPONSE, api.newResponse()));
        }
        types.add(new Type(-1, HEADER, new RequestHeaderData()));
        types.add(new Type(-1, HEADER, new ResponseHeaderData()));
        types.add(new Type(-1, DATA, new ConsumerProtocolSubscription()));
        types.add(new Type(-1, DATA, new ConsumerProtocolAssignment()));
        return types;
    }

    // --- the definitions in the jar -----------------------------------------------------------------------------------

    record Range(int low, int high) {
        static Range of(Object text) {
            String s = text == null ? "none" : (String) text;
            if (s.equals("none")) {
                return new Range(1, 0);
            }
            if (s.endsWith("+")) {
                return new Range(Integer.parseInt(s.substring(0, s.length() - 1)), Integer.MAX_VALUE);
            }
            String[] ends = s.split("-");
            return new Range(Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]));
        }

        boolean has(int version) {
            return version >= low && version <= high;
        }
    }

    static final class Field {
        String name;
        String kind; // without []
        boolean array;
        Range in;
        Range nullIn;
        String entity;
        List<Field> fields; // of a struct

        Object get(Object object) throws ReflectiveOperationException {
            return object.getClass().getMethod(Character.toLowerCase(name.charAt(0)) + name.substring(1)).invoke(object);
        }

        Method setter(Object object) {
            String wanted = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
            for (Method method : object.getClass().getMethods()) {
                if (method.getName().equals(wanted) && method.getParameterCount() == 1) {
                    return method;
                }
            }
            throw new IllegalStateException(object.getClass() + " has no " + wanted);
        }
    }

    static final class Spec {
        Range flexible;
        List<Field> fields;

        static Spec load(String name) throws IOException {
            try (InputStream in = WireOracle.class.getResourceAsStream("/common/message/" + name + ".json")) {
                String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
                Map<?, ?> json = (Map<?, ?>) new Json(text).value();
                Map<String, Object> commons = new HashMap<>();
                for (Object common : list(json.get("commonStructs"))) {
                    commons.put((String) ((Map<?, ?>) common).get("name"), ((Map<?, ?>) common).get("fields"));
                }
                Spec spec = new Spec();
                spec.flexible = Range.of(json.get("flexibleVersions"));
                spec.fields = fields(json.get("fields"), commons);
                return spec;
            }
        }

        private static List<?> list(Object value) {
            return value == null ? List.of() : (List<?>) value;
        }

        private static List<Field> fields(Object json, Map<String, Object> commons) {
            List<Field> fields = new ArrayList<>();
            for (Object each : list(json)) {
                Map<?, ?> map = (Map<?, ?>) each;
                Field field = new Field();
                String type = (String) map.get("type");
                field.name = (String) map.get("name");
                field.array = type.startsWith("[]");
                field.kind = field.array ? type.substring(2) : type;
                field.in = Range.of(map.get("versions"));
                field.nullIn = Range.of(map.get("nullableVersions"));
                field.entity = (String) map.get("entityType");
                if (Character.isUpperCase(field.kind.charAt(0))) {
                    Object own = map.get("fields");
                    field.fields = fields(own != null ? own : commons.get(field.kind), commons);
                }
                fields.add(field);
            }
            return fields;
        }
    }

    /** JSON with comment lines, as the definitions have it. */
    static final class Json {
        private final String text;
        private int at;

        Json(String text) {
            this.text = text.replaceAll("(?m)^\\s*//.*$", "");
        }

        Object value() {
            char c = peek();
            if (c == '{') {
                return object();
            }
            if (c == '[') {
                return array();
            }
            if (c == '"') {
                return string();
            }
            int from = at;
            while ("{}[],: \t\r\n".indexOf(text.charAt(at)) < 0) {
                at++;
            }
            return text.substring(from, at);
        }

        private Map<String, Object> object() {
            Map<String, Object> map = new HashMap<>();
            for (at++; peek() != '}'; skipComma()) {
                String key = string();
                check(peek() == ':', "JSON: no colon at %d", at);
                at++;
                map.put(key, value());
            }
            at++;
            return map;
        }

        private List<Object> array() {
            List<Object> list = new ArrayList<>();
            for (at++; peek() != ']'; skipComma()) {
                list.add(value());
            }
            at++;
            return list;
        }

        private String string() {
            check(peek() == '"', "JSON: no string at %d", at);
            StringBuilder out = new StringBuilder();
            for (at++; text.charAt(at) != '"'; at++) {
                if (text.charAt(at) == '\\') {
                    at++;
                }
                out.append(text.charAt(at));
            }
            at++;
            return out.toString();
        }

        private void skipComma() {
            if (peek() == ',') {
                at++;
            }
        }

        private char peek() {
            while (Character.isWhitespace(text.charAt(at))) {
                at++;
            }
            return text.charAt(at);
        }
    }

    // --- building -----------------------------------------------------------------------------------------------------

    /**
     * Seeds: 0 one of everything; 1 a few of everything and unknown tags in every struct; 2 nulls and empty arrays;
     * 3 a mixture; 4 a mixture of long strings and arrays, so that prefixes take two bytes; 5 outer arrays of 130, so that
     * leaving elements out shortens a count.
     */
    static final class Generator {
        private final String path;
        private Random random;
        private int seed;
        private int serial;
        private Range flexible;

        Generator(String path) {
            this.path = path;
        }

        void run() throws Exception {
            int messages = 0;
            int combinations = 0;
            try (DataOutputStream out = open(path)) {
                for (Type type : types()) {
                    for (int version = type.first; version <= type.last; version++) {
                        combinations += type.kind == REQUEST || type.kind == RESPONSE ? 1 : 0;
                        for (int s = 0; s < SEEDS; s++, messages++) {
                            byte[] bytes = write(build(type, version, s), version);
                            new Entry(type.key, type.kind, version, s, type.name, bytes).write(out);
                        }
                    }
                }
            }
            System.out.printf("oracle: %d messages, %d combinations%n", messages, combinations);
        }

        Message build(Type type, int version, int s) throws ReflectiveOperationException {
            random = new Random((type.name + version + "/" + s).hashCode());
            seed = s;
            serial = 0;
            flexible = type.spec.flexible;
            Message message = type.make();
            fill(message, type.spec.fields, type.name, version, 0);
            return message;
        }

        private void fill(Message object, List<Field> fields, String path, int version, int depth)
            throws ReflectiveOperationException {
            for (Field field : fields) {
                if (field.in.has(version)) {
                    Method setter = field.setter(object);
                    setter.invoke(object, make(field, setter, path + "." + field.name, version, depth));
                }
            }
            boolean tags = seed == 1 || (seed >= 3 && random.nextInt(4) == 0);
            if (flexible.has(version) && tags) {
                for (int tag = 1000; tag < 1000 + 1 + random.nextInt(2); tag++) {
                    object.unknownTaggedFields().add(new RawTaggedField(tag, bytes(random.nextInt(5))));
                }
            }
        }

        private Object make(Field field, Method setter, String path, int version, int depth)
            throws ReflectiveOperationException {
            if (field.nullIn.has(version) && (seed == 2 || (seed >= 3 && random.nextInt(4) == 0))) {
                return null;
            }
            Class<?> type = setter.getParameterTypes()[0];
            if (!field.array) {
                return single(field, type, path, version, depth);
            }
            Collection<Object> many = collection(type);
            int count = count(field, depth);
            for (int i = 0; i < count; i++) {
                many.add(single(field, elementType(setter, type), path, version, depth + 1));
            }
            return many;
        }

        private int count(Field field, int depth) {
            return switch (seed) {
                case 0 -> 1;
                case 1 -> 2;
                case 2 -> 0;
                case 4 -> field.fields == null && depth < 2 ? 130 : random.nextInt(3);
                case 5 -> depth == 0 ? 130 : random.nextInt(2);
                default -> random.nextInt(4);
            };
        }

        @SuppressWarnings("unchecked")
        private static Collection<Object> collection(Class<?> type) throws ReflectiveOperationException {
            return type == List.class ? new ArrayList<>()
                : (Collection<Object>) type.getDeclaredConstructor().newInstance();
        }

        /** The class in List<X>, or that of a collection of keyed elements. */
        private static Class<?> elementType(Method setter, Class<?> type) throws ReflectiveOperationException {
            java.lang.reflect.Type generic = type == List.class ? setter.getGenericParameterTypes()[0]
                : type.getGenericSuperclass();
            return (Class<?>) ((java.lang.reflect.ParameterizedType) generic).getActualTypeArguments()[0];
        }

        private Object single(Field field, Class<?> type, String path, int version, int depth)
            throws ReflectiveOperationException {
            switch (field.kind) {
                case "bool": return random.nextBoolean();
                case "int8": return tiny(field.name);
                case "int16": return (short) random.nextInt();
                case "uint16": return random.nextInt(65536);
                case "int32": return field.name.equals("Port") ? random.nextInt(65536) : (Object) random.nextInt();
                case "uint32": return random.nextLong() & 0xffffffffL;
                case "int64": return random.nextLong();
                case "float64": return random.nextDouble();
                case "uuid": return new Uuid(random.nextLong(), random.nextLong());
                case "string": return string(field);
                case "bytes":
                    byte[] content = blob(path);
                    return type == ByteBuffer.class ? ByteBuffer.wrap(content) : (Object) content;
                case "records": return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes(20 + random.nextInt(20))));
                default:
                    Message struct = (Message) type.getDeclaredConstructor().newInstance();
                    fill(struct, field.fields, path, version, depth);
                    return struct;
            }
        }

        private byte tiny(String name) {
            byte[] resources = {2, 3, 4, 5, 16, 32};
            if (name.startsWith("ResourceType")) {
                return resources[random.nextInt(resources.length)];
            }
            return (byte) (name.equals("KeyType") ? random.nextInt(3) : random.nextInt());
        }

        /** Never twice the same: many arrays are keyed by their names. */
        private String string(Field field) {
            String name = field.name.toLowerCase().charAt(0) + "ä" + serial++;
            if (seed == 4 && random.nextBoolean()) {
                name += "x".repeat(120 + random.nextInt(200));
            }
            return random.nextInt(3) == 0 ? name + CUT : name;
        }

        private byte[] blob(String path) throws ReflectiveOperationException {
            Type embedded = Rules.embedded(path);
            if (embedded == null || random.nextInt(8) == 0 && path.endsWith("Assignment")) {
                return embedded == null ? bytes(random.nextInt(40)) : new byte[0];
            }
            int version = embedded.first + random.nextInt(embedded.last - embedded.first + 1);
            Generator inner = new Generator(null);
            inner.serial = 1000 * ++serial;
            inner.random = random;
            inner.seed = seed;
            inner.flexible = embedded.spec.flexible;
            Message message = embedded.make();
            inner.fill(message, embedded.spec.fields, embedded.name, version, 1);
            byte[] body = write(message, version);
            return ByteBuffer.allocate(2 + body.length).putShort((short) version).put(body).array();
        }

        private byte[] bytes(int n) {
            byte[] bytes = new byte[n];
            random.nextBytes(bytes);
            return bytes;
        }
    }

    // --- what a mapping must do ----------------------------------------------------------------------------------------

    static final class Rules {
        private static final Set<String> ENTITIES = Set.of("topicName", "groupId", "transactionalId");
        private static final Set<String> PATTERNS =
            Set.of("SubscribedTopicRegex", "SourceTopicRegex", "TransactionalIdPattern");
        private static final Set<String> TEXTS =
            Set.of("ErrorMessage", "BatchIndexErrorMessage", "AcknowledgeErrorMessage", "StatusDetail");
        private static final Set<String> SUBSCRIPTIONS = Set.of("JoinGroupRequest.Protocols.Metadata",
            "JoinGroupResponse.Members.Metadata", "DescribeGroupsResponse.Groups.Members.MemberMetadata");
        private static final Set<String> ASSIGNMENTS = Set.of("SyncGroupRequest.Assignments.Assignment",
            "SyncGroupResponse.Assignment", "DescribeGroupsResponse.Groups.Members.MemberAssignment");
        private static Type subscription;
        private static Type assignment;

        /** What the bytes at this path hold, or null. */
        static Type embedded(String path) {
            try {
                if (subscription == null) {
                    subscription = new Type(-1, DATA, new ConsumerProtocolSubscription());
                    assignment = new Type(-1, DATA, new ConsumerProtocolAssignment());
                }
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
            return SUBSCRIPTIONS.contains(path) ? subscription : ASSIGNMENTS.contains(path) ? assignment : null;
        }

        static boolean isName(Field field, String path, Object parent) throws ReflectiveOperationException {
            if (!field.kind.equals("string")) {
                return false;
            }
            return ENTITIES.contains(String.valueOf(field.entity)) || field.name.equals("GroupId")
                || path.equals("ConsumerProtocolSubscription.Topics") || isTypedName(field, path, parent);
        }

        private static boolean isTypedName(Field field, String path, Object parent)
            throws ReflectiveOperationException {
            if (path.equals("FindCoordinatorRequest.Key") || path.equals("FindCoordinatorRequest.CoordinatorKeys")) {
                return number(parent, "keyType") < 2;
            }
            if (path.equals("FindCoordinatorResponse.Coordinators.Key")) {
                return true;
            }
            if (!field.name.startsWith("ResourceName")) {
                return false;
            }
            int type = number(parent, field.name.endsWith("Filter") ? "resourceTypeFilter" : "resourceType");
            return path.contains("Acls") ? Set.of(2, 3, 5).contains(type) : Set.of(2, 32).contains(type);
        }

        private static int number(Object object, String getter) throws ReflectiveOperationException {
            return ((Number) object.getClass().getMethod(getter).invoke(object)).intValue();
        }

        static boolean isAddress(Field field, String path) {
            boolean clients = path.contains("UserEndpoint") || path.contains("Acls") || path.contains("Creations");
            return (field.name.equals("Host") || field.name.equals("Port")) && !clients;
        }

        /** The mapped form of a single value that is no struct. */
        static Object mapped(Field field, String path, Object parent, Object value)
            throws ReflectiveOperationException {
            if (value instanceof String s) {
                return isName(field, path, parent) ? "ns-" + s
                    : PATTERNS.contains(field.name) ? "p:" + s
                    : TEXTS.contains(field.name) ? "e:" + s
                    : isAddress(field, path) ? "h." + s
                    : s;
            }
            if (value instanceof Uuid id && field.name.equals("TopicId")) {
                long x = 0x5a5a5a5a5a5a5a5aL;
                return new Uuid(id.getMostSignificantBits() ^ x, id.getLeastSignificantBits() ^ x);
            }
            if (value instanceof Integer n && field.name.equals("Port") && isAddress(field, path)) {
                return n ^ 0x1111;
            }
            return value;
        }
    }

    // --- verifying ------------------------------------------------------------------------------------------------------

    static final class Verifier {
        private final Map<String, Integer> seen = new TreeMap<>();
        private int mappedValues;

        void run(String originals, String mappeds, String cuts) throws Exception {
            Map<String, Type> types = new HashMap<>();
            for (Type type : types()) {
                types.put(type.name, type);
            }
            int messages = 0;
            try (DataInputStream a = in(originals); DataInputStream b = in(mappeds); DataInputStream c = in(cuts)) {
                for (Entry original; (original = Entry.read(a)) != null; messages++) {
                    Type type = types.get(original.name);
                    verifyMapped(type, original, original.same(Entry.read(b)));
                    verifyCut(type, original, original.same(Entry.read(c)));
                }
                check(Entry.read(b) == null && Entry.read(c) == null, "there are more answers than messages");
            }
            System.out.printf("oracle: verified %d messages, %d mapped values in %d fields%n", messages, mappedValues,
                seen.size());
        }

        private void verifyMapped(Type type, Entry original, Entry mapped) throws Exception {
            Message before = type.read(original.bytes, original.version);
            Message after = type.read(mapped.bytes, mapped.version);
            check(Arrays.equals(write(after, mapped.version), mapped.bytes), "%s: not what Kafka would write", mapped);
            compare(before, after, type.spec.fields, type.name, original.version);
        }

        private void compare(Message before, Message after, List<Field> fields, String path, int version)
            throws Exception {
            check(before.unknownTaggedFields().equals(after.unknownTaggedFields()), "%s: unknown tags differ", path);
            for (Field field : fields) {
                if (!field.in.has(version)) {
                    continue;
                }
                String here = path + "." + field.name;
                Object x = field.get(before);
                Object y = field.get(after);
                check((x == null) == (y == null), "%s: %s became %s", here, x, y);
                if (x == null) {
                    continue;
                }
                if (!field.array) {
                    single(field, here, before, x, y, version);
                    continue;
                }
                check(((Collection<?>) x).size() == ((Collection<?>) y).size(), "%s: sizes differ", here);
                Iterator<?> ys = ((Collection<?>) y).iterator();
                for (Object each : (Collection<?>) x) {
                    single(field, here, before, each, ys.next(), version);
                }
            }
        }

        private void single(Field field, String path, Message parent, Object x, Object y, int version)
            throws Exception {
            if (field.fields != null) {
                compare((Message) x, (Message) y, field.fields, path, version);
                return;
            }
            if (x instanceof MemoryRecords) {
                check(((MemoryRecords) x).buffer().equals(((MemoryRecords) y).buffer()), "%s: records differ", path);
                return;
            }
            if (field.kind.equals("bytes")) {
                blob(path, raw(x), raw(y));
                return;
            }
            Object expected = Rules.mapped(field, path, parent, x);
            check(Objects.equals(expected, y), "%s: %s became %s where %s was expected", path, x, y, expected);
            if (!x.equals(y)) {
                mappedValues++;
                seen.merge(path, 1, Integer::sum);
            }
        }

        private void blob(String path, byte[] x, byte[] y) throws Exception {
            Type embedded = Rules.embedded(path);
            if (embedded == null || x.length == 0) {
                check(Arrays.equals(x, y), "%s: bytes differ", path);
                return;
            }
            int version = ByteBuffer.wrap(x).getShort();
            check(ByteBuffer.wrap(y).getShort() == version, "%s: the embedded version changed", path);
            compare(embedded.read(Arrays.copyOfRange(x, 2, x.length), version),
                embedded.read(Arrays.copyOfRange(y, 2, y.length), version), embedded.spec.fields, embedded.name, version);
        }

        private static byte[] raw(Object value) {
            if (value instanceof byte[] bytes) {
                return bytes;
            }
            ByteBuffer buffer = ((ByteBuffer) value).duplicate();
            byte[] bytes = new byte[buffer.remaining()];
            buffer.get(bytes);
            return bytes;
        }

        private void verifyCut(Type type, Entry original, Entry cut) throws Exception {
            Message message = type.read(original.bytes, original.version);
            cut(message, type.spec.fields, type.name, original.version);
            check(Arrays.equals(write(message, cut.version), cut.bytes), "%s: elements were not left out rightly", cut);
        }

        /** Leaves out every element that is, or directly holds, a marked name. */
        private void cut(Message message, List<Field> fields, String path, int version) throws Exception {
            for (Field field : fields) {
                Object value = field.in.has(version) ? field.get(message) : null;
                String here = path + "." + field.name;
                if (value == null || (field.fields == null && !field.array)) {
                    continue;
                }
                if (!field.array) {
                    cut((Message) value, field.fields, here, version);
                } else if (field.fields == null) {
                    if (Rules.isName(field, here, message)) {
                        ((Collection<?>) value).removeIf(s -> ((String) s).endsWith(CUT));
                    }
                } else {
                    cutElements((Collection<?>) value, field, here, version);
                }
            }
        }

        private void cutElements(Collection<?> elements, Field field, String path, int version) throws Exception {
            for (Iterator<?> i = elements.iterator(); i.hasNext(); ) {
                Message element = (Message) i.next();
                if (marked(element, field.fields, path, version)) {
                    i.remove();
                } else {
                    cut(element, field.fields, path, version);
                }
            }
        }

        private boolean marked(Message message, List<Field> fields, String path, int version) throws Exception {
            for (Field field : fields) {
                Object value = field.in.has(version) ? field.get(message) : null;
                if (value == null || field.array) {
                    continue;
                }
                String here = path + "." + field.name;
                if (field.fields != null && marked((Message) value, field.fields, here, version)) {
                    return true;
                }
                if (value instanceof String s && s.endsWith(CUT) && Rules.isName(field, here, message)) {
                    return true;
                }
            }
            return false;
        }
    }

    // --- files ----------------------------------------------------------------------------------------------------------

    record Entry(int key, int kind, int version, int seed, String name, byte[] bytes) {
        void write(DataOutputStream out) throws IOException {
            out.writeShort(key);
            out.writeShort(version);
            out.writeByte(kind);
            out.writeByte(seed);
            byte[] text = name.getBytes(StandardCharsets.US_ASCII);
            out.writeShort(text.length);
            out.write(text);
            out.writeInt(bytes.length);
            out.write(bytes);
        }

        static Entry read(DataInputStream in) throws IOException {
            int key;
            try {
                key = in.readShort();
            } catch (EOFException e) {
                return null;
            }
            int version = in.readShort();
            int kind = in.readByte();
            int seed = in.readByte();
            String name = new String(in.readNBytes(in.readShort()), StandardCharsets.US_ASCII);
            return new Entry(key, kind, version, seed, name, in.readNBytes(in.readInt()));
        }

        Entry same(Entry other) {
            check(other != null && name.equals(other.name) && version == other.version && seed == other.seed,
                "%s has no answer, or another's", this);
            return other;
        }

        @Override
        public String toString() {
            return name + " v" + version + " seed " + seed;
        }
    }

    static DataOutputStream open(String path) throws IOException {
        return new DataOutputStream(new BufferedOutputStream(new FileOutputStream(path), 1 << 16));
    }

    static DataInputStream in(String path) throws IOException {
        return new DataInputStream(new BufferedInputStream(new FileInputStream(path), 1 << 16));
    }

    static void check(boolean holds, String format, Object... args) {
        if (!holds) {
            throw new IllegalStateException(String.format(format, args));
        }
    }
}
