package bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.hadoop.HadoopCatalog;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.Types;

/** Makes the table: warehouse, then the names of ids, of the time, of texts and of maps. */
public final class CreateTable {
  public static void main(String[] arguments) throws Exception {
    Configuration hadoop = new Configuration();
    System.getProperties().forEach((key, value) -> {
      if (key.toString().startsWith("fs.")) {
        hadoop.set(key.toString(), value.toString());
      }
    });
    List<Types.NestedField> fields = new ArrayList<>();
    add(fields, arguments[1], Types.LongType.get());
    add(fields, arguments[2], Types.TimestampType.withZone());
    add(fields, arguments[3], Types.StringType.get());
    int id = 1000;
    for (String name : arguments[4].split(",")) {
      Type text = Types.StringType.get();
      fields.add(
          Types.NestedField.optional(
              id, name, Types.MapType.ofOptional(id + 1, id + 2, text, text)));
      id += 3;
    }
    Schema schema = new Schema(fields);
    try (HadoopCatalog catalog = new HadoopCatalog(hadoop, arguments[0])) {
      catalog.createTable(
          TableIdentifier.of("bench", "events"),
          schema,
          PartitionSpec.builderFor(schema).day(arguments[2]).build(),
          Map.of(
              "format-version", "2",
              "write.parquet.compression-codec", "zstd",
              "write.parquet.compression-level", "1"));
    }
  }

  private static void add(List<Types.NestedField> fields, String names, Type type) {
    for (String name : names.split(",")) {
      fields.add(Types.NestedField.optional(fields.size() + 1, name, type));
    }
  }
}
