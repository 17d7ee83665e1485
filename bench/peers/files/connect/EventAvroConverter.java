package bench;

import java.io.IOException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.util.Utf8;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Events in Confluent's frame as maps, as Kafka's own JsonConverter gives them without schemas:
 * Confluent's converter is not in Maven's central repository. The schema is in the settings.
 */
public final class EventAvroConverter implements Converter {
  private static final int FRAME = 5;

  private GenericDatumReader<GenericRecord> reader;
  private BinaryDecoder decoder;

  @Override
  public void configure(Map<String, ?> settings, boolean isKey) {
    reader = new GenericDatumReader<>(new Schema.Parser().parse((String) settings.get("schema")));
  }

  @Override
  public SchemaAndValue toConnectData(String topic, byte[] message) {
    if (message == null) {
      return SchemaAndValue.NULL;
    }
    try {
      decoder =
          DecoderFactory.get().binaryDecoder(message, FRAME, message.length - FRAME, decoder);
      GenericRecord record = reader.read(null, decoder);
      Map<String, Object> row = new HashMap<>();
      for (Schema.Field field : record.getSchema().getFields()) {
        row.put(field.name(), converted(record.get(field.pos())));
      }
      long micros = (Long) record.get("time");
      row.put(
          "time",
          Instant.ofEpochSecond(
                  Math.floorDiv(micros, 1_000_000L), Math.floorMod(micros, 1_000_000L) * 1000)
              .atOffset(ZoneOffset.UTC));
      return new SchemaAndValue(null, row);
    } catch (IOException error) {
      throw new DataException(error);
    }
  }

  @Override
  public byte[] fromConnectData(
      String topic, org.apache.kafka.connect.data.Schema schema, Object value) {
    throw new UnsupportedOperationException();
  }

  private static Object converted(Object value) {
    if (value instanceof Utf8) {
      return value.toString();
    }
    if (value instanceof Map<?, ?> pairs) {
      Map<String, Object> made = new HashMap<>();
      pairs.forEach((key, held) -> made.put(key.toString(), converted(held)));
      return made;
    }
    return value;
  }
}
