package bench;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumReader;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericRecord;
import org.apache.flink.avro.shaded.org.apache.avro.io.BinaryDecoder;
import org.apache.flink.avro.shaded.org.apache.avro.io.DecoderFactory;
import org.apache.flink.avro.shaded.org.apache.avro.util.Utf8;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.types.DataType;

/**
 * Reads events in Confluent's frame. Flink's own avro-confluent format cannot: it has no way with a
 * map whose values are of several types. The properties' values become text, as in its JSON format.
 */
public final class EventAvroFormat implements DeserializationFormatFactory {
  private static final ConfigOption<String> SCHEMA =
      ConfigOptions.key("schema").stringType().noDefaultValue();

  @Override
  public String factoryIdentifier() {
    return "event-avro";
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of(SCHEMA);
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of();
  }

  @Override
  public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
      DynamicTableFactory.Context context, ReadableConfig options) {
    String schema = options.get(SCHEMA);
    return new DecodingFormat<>() {
      @Override
      public DeserializationSchema<RowData> createRuntimeDecoder(
          DynamicTableSource.Context runtime, DataType type) {
        String[] names = DataType.getFieldNames(type).toArray(String[]::new);
        return new Events(schema, names, runtime.createTypeInformation(type));
      }

      @Override
      public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
      }
    };
  }

  private static final class Events implements DeserializationSchema<RowData> {
    private static final int FRAME = 5;

    private final String schema;
    private final String[] names;
    private final TypeInformation<RowData> type;
    private transient GenericDatumReader<GenericRecord> reader;
    private transient BinaryDecoder decoder;
    private transient GenericRecord record;
    private transient int[] positions;
    private transient boolean[] times;

    Events(String schema, String[] names, TypeInformation<RowData> type) {
      this.schema = schema;
      this.names = names;
      this.type = type;
    }

    @Override
    public void open(InitializationContext context) {
      Schema parsed = new Schema.Parser().parse(schema);
      reader = new GenericDatumReader<>(parsed);
      positions = new int[names.length];
      times = new boolean[names.length];
      for (int i = 0; i < names.length; i++) {
        positions[i] = parsed.getField(names[i]).pos();
        times[i] = names[i].equals("time");
      }
    }

    @Override
    public RowData deserialize(byte[] message) throws IOException {
      decoder =
          DecoderFactory.get().binaryDecoder(message, FRAME, message.length - FRAME, decoder);
      record = reader.read(record, decoder);
      GenericRowData row = new GenericRowData(names.length);
      for (int i = 0; i < names.length; i++) {
        Object value = record.get(positions[i]);
        row.setField(i, times[i] ? time((Long) value) : converted(value));
        record.put(positions[i], null); // else the reader would write the next text into this one
      }
      return row;
    }

    private static TimestampData time(long micros) {
      return TimestampData.fromEpochMillis(
          Math.floorDiv(micros, 1000L), (int) Math.floorMod(micros, 1000L) * 1000);
    }

    private static Object converted(Object value) {
      if (value instanceof Utf8 text) {
        return StringData.fromBytes(text.getBytes(), 0, text.getByteLength());
      }
      if (value instanceof Map<?, ?> pairs) {
        Map<StringData, StringData> made = new HashMap<>();
        for (Map.Entry<?, ?> pair : pairs.entrySet()) {
          Object held = pair.getValue();
          made.put(
              StringData.fromString(pair.getKey().toString()),
              held == null ? null : StringData.fromString(held.toString()));
        }
        return new GenericMapData(made);
      }
      return value;
    }

    @Override
    public boolean isEndOfStream(RowData next) {
      return false;
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
      return type;
    }
  }
}
