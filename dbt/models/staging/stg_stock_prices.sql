{{ config(unique_key=['symbol', 'timestamp']) }}

{%- set raw = source('raw_stocks', 'stock_prices') -%}
{%- set watermark = watermark() %}

with judged as (
  select
    symbol, timestamp, price, open, high, low, volume, previous_close, data_source,
    cast(session as varchar) as session,
    cast(bar_length as varchar) as bar_length,
    price_date, price_hour, load_id,
    case when price <= 0 or volume < 0 or high < low or open < 0 then false else true end as is_valid,
    case when price <= 0 or volume < 0 or high < low or open < 0 then substr(
      case when price <= 0 then ', price <= 0' else '' end
      || case when volume < 0 then ', volume < 0' else '' end
      || case when high < low then ', high < low' else '' end
      || case when open < 0 then ', open < 0' else '' end, 3) end as invalid_reason,
    {{ dbt.datediff('timestamp', 'appended_at', 'microsecond') }} / cast(1000000 as double)
      as ingest_lag_seconds
  from {{ raw }}
  {%- if watermark is not none %}
  where load_id > {{ watermark }}
  {%- endif %}
),

{% if watermark is none %}
compared as (
  select *, case when is_valid then {{ percent_change(
      'price', 'lag(price) over (partition by symbol, is_valid order by timestamp)') }} end as price_change_pct
  from judged
)

{% else %}
{%- set days = days_with_neighbours(raw, watermark) %}
stored as (
  {%- set columns = 'symbol, price_date, timestamp, price, price_change_pct' %}
  {{- rows_of_days(this, days, columns, 'is_valid') }}
),

ranges as (
  select symbol, price_date, min(timestamp) as first_new, max(timestamp) as last_new
  from judged group by symbol, price_date
),

-- Per symbol and day, its first and last stored row, and those next to the range of its new rows.
edges as (
  select stored.symbol, stored.price_date,
    min(stored.timestamp) as first_stored,
    max(stored.timestamp) as last_stored,
    coalesce(max(case when stored.timestamp < first_new then stored.timestamp end), min(first_new)) as range_start,
    coalesce(min(case when stored.timestamp > last_new then stored.timestamp end), max(last_new)) as range_end
  from stored
  left join ranges on ranges.symbol = stored.symbol and ranges.price_date = stored.price_date
  group by stored.symbol, stored.price_date
),

near as (
  select stored.symbol, stored.timestamp, stored.price, stored.price_change_pct
  from stored
  join edges on edges.symbol = stored.symbol and edges.price_date = stored.price_date
  where stored.timestamp between range_start and range_end or stored.timestamp in (first_stored, last_stored)
),

-- The new rows and every stored valid one inside or next to a range of them, unless a new one replaces it.
points as (
  select near.symbol, near.timestamp, near.price, true as is_valid, 0 as is_new,
    near.price_change_pct as stored_change_pct
  from near
  left join judged on judged.symbol = near.symbol and judged.timestamp = near.timestamp
  where judged.symbol is null
  union all
  select symbol, timestamp, price, is_valid, 1, null from judged
),

changes as (
  select symbol, timestamp, is_new, stored_change_pct,
    case when is_valid then {{ percent_change(
      'price', 'lag(price) over (partition by symbol, is_valid order by timestamp)') }} end as price_change_pct,
    lag(is_new) over (partition by symbol order by timestamp) as follows_new
  from points
),

-- A stored row changes only if it follows a new one: the days read hold a symbol's next row for sure.
restated as (
  select symbol, timestamp, price_change_pct from changes
  where is_new = 0 and follows_new = 1 and price_change_pct is distinct from stored_change_pct
),

compared as (
  select judged.*, changes.price_change_pct
  from judged
  join changes on changes.symbol = judged.symbol and changes.timestamp = judged.timestamp
  union all
  {%- set columns %}symbol, timestamp, price, open, high, low, volume, previous_close, data_source,
    session, bar_length, price_date, price_hour, load_id, is_valid, invalid_reason, ingest_lag_seconds
  {%- endset %}
  select stored.*, restated.price_change_pct
  from (
    {{- rows_of_days(this, days, columns, 'timestamp in (select timestamp from restated)') }}
  ) as stored
  join restated on restated.symbol = stored.symbol and restated.timestamp = stored.timestamp
)
{% endif %}

select
  symbol, timestamp, price, open, high, low, volume, previous_close, data_source, session, bar_length,
  price_date, price_hour, is_valid, invalid_reason, price_change_pct,
  coalesce(abs(price_change_pct) > 20, false) as is_price_spike,
  ingest_lag_seconds, load_id
from compared
