"""Build the project twice, with new rows in between, then its catalog: one process, one import.

Arguments: a copy of the project, and the SQL that brings the new rows.
"""

import json
import os
import sys
from pathlib import Path

import redshift_connector
from dbt.cli.main import dbtRunner


def dbt(runner, *arguments):
    done = runner.invoke([*arguments, "--profiles-dir", ".", "--no-use-colors"])
    if not done.success:
        sys.exit(f"dbt {arguments[0]} failed: {done.exception}")
    return done.result


def build(runner):
    return {each.node.name: str(each.status) for each in dbt(runner, "build").results}


def main(folder, new_rows):
    os.chdir(folder)
    runner = dbtRunner()
    said = {"first": build(runner)}
    with redshift_connector.connect(
        host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]),
        database=os.environ["PGDATABASE"], user=os.environ["PGUSER"],
        password=os.environ["PGPASSWORD"], ssl=False,
    ) as connection:  # fmt: skip
        connection.cursor().execute(new_rows)
        connection.commit()
    said["second"] = build(runner)
    dbt(runner, "docs", "generate", "--no-compile")
    catalog = json.loads((Path("target") / "catalog.json").read_text())
    said["catalog"] = {
        node.split(".")[-1]: {
            "type": entry["metadata"]["type"],
            "owner": entry["metadata"]["owner"],
            "columns": {name: column["type"] for name, column in entry["columns"].items()},
            "diststyle": entry["stats"].get("diststyle", {}).get("value"),
        }
        for node, entry in {**catalog["nodes"], **catalog["sources"]}.items()
    }
    print("RESULT " + json.dumps(said))


if __name__ == "__main__":  # dbt starts processes that import this file again
    main(sys.argv[1], sys.argv[2])
