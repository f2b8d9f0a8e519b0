#include "serve/route.h"

namespace tapeline::serve {

std::string_view api_schemas() {
  return R"json({
"Error": {"type":"object","required":["error"],"properties":{"error":{"type":"object",
  "required":["code","message","hint"],"properties":{"code":{"type":"string"},
  "message":{"type":"string"},"hint":{"type":"string"}}}}},
"Object": {"type":"object"},
"Ready": {"type":"object","required":["ready"],"properties":{"ready":{"type":"boolean"},
  "reason":{"type":"string"},"progress":{"type":["number","null"]}}},
"Status": {"type":"object","required":["version","now","ready"],"properties":{
  "version":{"type":"string"},"now":{"type":"string","format":"date-time"},
  "ready":{"type":"boolean"},"feed":{"type":"object"},"market":{"type":"object"},
  "data":{"type":"object"},"equation":{"type":"object"},"lag":{"type":["integer","null"]},
  "dag":{"type":["object","null"]},"tests":{"type":["object","null"]}}},
"Symbols": {"type":"object","required":["symbols"],"properties":{"symbols":{"type":"array",
  "items":{"type":"string"}}}},
"MinuteBar": {"type":["object","null"],"required":["bar_start","open","high","low","close",
  "volume","quote_count"],"properties":{"bar_start":{"type":"string","format":"date-time"},
  "open":{"type":"number"},"high":{"type":"number"},"low":{"type":"number"},
  "close":{"type":"number"},"volume":{"type":["integer","null"]},
  "quote_count":{"type":"integer"}}},
"Quote": {"type":"object","required":["symbol","price","event_time","class"],"properties":{
  "symbol":{"type":"string"},"price":{"type":"number"},"change":{"type":["number","null"]},
  "change_pct":{"type":["number","null"]},
  "reference":{"enum":["previous_close","daily_close",null]},
  "reference_price":{"type":["number","null"]},"previous_close":{"type":["number","null"]},
  "open":{"type":["number","null"]},"high":{"type":["number","null"]},
  "low":{"type":["number","null"]},"volume":{"type":["integer","null"]},
  "session":{"enum":["pre","regular","post","closed"]},
  "event_time":{"type":"string","format":"date-time"},
  "received_at":{"type":["string","null"],"format":"date-time"},
  "data_source":{"type":["string","null"]},
  "class":{"enum":["live","simulated","replay","history"]},
  "bar":{"$ref":"#/components/schemas/MinuteBar"},
  "spark":{"type":"array","items":{"type":"number"},"maxItems":60}}},
"Quotes": {"type":"object","required":["quotes"],"properties":{"quotes":{"type":"array",
  "items":{"$ref":"#/components/schemas/Quote"}}}},
"Bars": {"type":"object","required":["symbol","interval","bars","gaps","more"],"properties":{
  "symbol":{"type":"string"},"interval":{"type":"string"},"more":{"type":"boolean"},
  "bars":{"type":"array","items":{"type":"object",
    "required":["time","open","high","low","close","volume","count"],"properties":{
    "time":{"type":"string"},"open":{"type":["number","null"]},"high":{"type":["number","null"]},
    "low":{"type":["number","null"]},"close":{"type":["number","null"]},
    "volume":{"type":["integer","null"]},"count":{"type":["integer","null"]}}}},
  "gaps":{"type":"array","items":{"type":"object","required":["start","end","cause"],
    "properties":{"start":{"type":"string","format":"date-time"},
    "end":{"type":"string","format":"date-time"},"cause":{"type":["string","null"]}}}}}},
"Analytics": {"type":"object","required":["columns","rows","load_id"],"properties":{
  "columns":{"type":"array","items":{"type":"string"}},
  "rows":{"type":"array","items":{"type":"object"}},"load_id":{"type":["integer","null"]}}},
"Topics": {"type":"object","required":["topics"],"properties":{"topics":{"type":"array",
  "items":{"type":"object","required":["name","id","partitions"],"properties":{
    "name":{"type":"string"},"id":{"type":"string"},"partitions":{"type":"array",
    "items":{"type":"object","required":["partition","earliest","end","size_bytes"],
    "properties":{"partition":{"type":"integer"},"earliest":{"type":"integer"},
    "end":{"type":"integer"},"size_bytes":{"type":"integer"}}}}}}}}},
"Records": {"type":"object","required":["topic","partition","records","next"],"properties":{
  "topic":{"type":"string"},"partition":{"type":"integer"},"next":{"type":"integer"},
  "records":{"type":"array","items":{"type":"object","required":["offset","appended_at","key"],
    "properties":{"offset":{"type":"integer"},
    "appended_at":{"type":"string","format":"date-time"},"key":{"type":["string","null"]},
    "key_base64":{"type":"string"},"value":{"type":"string"},
    "value_base64":{"type":"string"}}}}}},
"Positions": {"type":"object","required":["records"],"properties":{"records":{"type":"array",
  "items":{"type":"object","required":["partition","offset"],"properties":{
    "partition":{"type":"integer"},"offset":{"type":"integer"}}}}}},
"Login": {"type":"object","required":["token"],"properties":{"token":{"type":"string"}}},
"Command": {"type":"object","required":["argv"],"properties":{"argv":{"type":"array",
  "items":{"type":"string"},"minItems":1},"cwd":{"type":"string"}}}
})json";
}

}  // namespace tapeline::serve
