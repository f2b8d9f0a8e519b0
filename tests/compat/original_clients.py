#!/usr/bin/env python3
"""Speaks to a topic as the system did that tapeline replaces: kafka-python, JSON, no key, no zone, volume 0.

    original_clients.py produce BOOTSTRAP COUNT          quotes with event times from 2025-01-02T14:30:00 on, one a second
    original_clients.py consume BOOTSTRAP GROUP what is there, as the rows that it would insert

Both print JSON, a line a message.
"""
import datetime
import json
import sys

from kafka import KafkaConsumer, KafkaProducer

TOPIC = "stock_prices"
SYMBOLS = ["AAPL", "GOOGL", "MSFT", "AMZN", "TSLA"]
COLUMNS = ["symbol", "price", "volume", "timestamp", "high", "low", "open", "data_source"]


def produce(bootstrap, count):
    producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=lambda value: json.dumps(value).encode("utf-8"), acks="all", retries=3)
    for number in range(count):
        price = 150 + number / 100
        at = datetime.datetime(2025, 1, 2, 14, 30, 0, 123456) + datetime.timedelta(seconds=number)
        message = {"symbol": SYMBOLS[number % len(SYMBOLS)], "price": price, "high": price + 1, "low": price - 1, "open": 150.0, "volume": 0,
                   "timestamp": at.isoformat(), "data_source": "finnhub"}
        producer.send(TOPIC, value=message).get(timeout=10)
        print(json.dumps(message))
    producer.flush()
    producer.close()


def consume(bootstrap, group):
    consumer = KafkaConsumer(TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=True, group_id=group,
                             value_deserializer=lambda value: json.loads(value.decode("utf-8")), consumer_timeout_ms=10000)
    for message in consumer:
        row = {column: message.value.get(column) for column in COLUMNS}
        float(row["price"]), datetime.datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00"))
        print(json.dumps(row))
    consumer.close()


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        produce(sys.argv[2], int(sys.argv[3]))
    else:
        consume(*sys.argv[2:4])
