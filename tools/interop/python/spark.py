"""The server on Spark SQL in local mode, with the jar of Paimon for Spark: sql and version. One session serves all tests.

A statement is run in the database `default` of the catalog `p` over the warehouse that the command names.
"""
import base64
import datetime
import glob
import os

from pyspark.sql import SparkSession
from pyspark.sql import types

import interop_line
import values

EPOCH = datetime.datetime(1970, 1, 1)
# By Python's clock, as PySpark does it, there is no first day of the year 1.
types.TimestampType.fromInternal = lambda _, micros: None if micros is None else EPOCH + datetime.timedelta(microseconds=micros)


def start():
    here = os.path.dirname(os.path.abspath(__file__))
    jars = glob.glob(os.path.join(here, "..", "target", "spark-jars", "*.jar"))
    builder = SparkSession.builder.master("local[2]").appName("interop")
    settings = {
        "spark.jars": ",".join(map(os.path.abspath, jars)),
        "spark.sql.extensions": "org.apache.paimon.spark.extensions.PaimonSparkSessionExtensions",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "1500m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.sql.readSideCharPadding": "false",  # CHAR as it is stored
        "spark.sql.codegen.wholeStage": "false",  # small tables: compiling costs more than it saves
        "spark.sql.warehouse.dir": os.path.join(here, "..", "target", "spark-warehouse"),
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


SPARK = None
CATALOGS = {}


def session_of(warehouse):
    """The session, with a catalog of the warehouse as the current one. It keeps no tables: we change them beside it."""
    global SPARK
    if SPARK is None:
        SPARK = start()
    name = CATALOGS.setdefault(warehouse, "p%d" % len(CATALOGS))
    place = "spark.sql.catalog." + name
    for key, value in {"": "org.apache.paimon.spark.SparkCatalog", ".warehouse": warehouse, ".cache-enabled": "false"}.items():
        SPARK.conf.set(place + key, value)
    SPARK.sql("USE %s" % name)
    SPARK.sql("CREATE DATABASE IF NOT EXISTS default")
    SPARK.sql("USE %s.default" % name)
    return SPARK


def json_of(type_, value):
    """A value of Spark by the rules of ../README.md."""
    if value is None:
        return None
    if isinstance(type_, (types.FloatType, types.DoubleType)):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(value), value)
    if isinstance(type_, types.BinaryType):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(type_, types.DateType):
        return value.isoformat()
    if isinstance(type_, (types.TimestampType, types.TimestampNTZType)):
        text = value.strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0")
        return text + ("Z" if isinstance(type_, types.TimestampType) else "")
    if isinstance(type_, types.ArrayType):
        return [json_of(type_.elementType, item) for item in value]
    if isinstance(type_, types.MapType):
        pairs = [[json_of(type_.keyType, key), json_of(type_.valueType, item)] for key, item in value.items()]
        return sorted(pairs, key=lambda pair: pair[0])
    if isinstance(type_, types.StructType):
        return {field.name: json_of(field.dataType, item) for field, item in zip(type_.fields, value)}
    return value


def sql(command):
    session, answer = session_of(command["warehouse"]), {}
    for statement in command["statements"]:
        frame = session.sql(statement)
        fields = frame.schema.fields
        rows = [[json_of(field.dataType, cell) for field, cell in zip(fields, row)] for row in frame.collect()]
        answer = {"columns": [field.name for field in fields], "rows": rows}
    return answer


def version(_):
    session = SPARK or start()
    return {"spark": session.version, "paimon": "0.9.0"}


if __name__ == "__main__":
    interop_line.serve({"sql": sql, "version": version})
