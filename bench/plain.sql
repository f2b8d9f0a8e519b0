-- The work of the four models as plain SQL from a loaded raw table, for bare DuckDB: what one would write
-- who starts from nothing. Frozen: it is the peer that `make bench` measures against, and does not follow the
-- shipped models. It is allowed to do less: no watermark, no origins, a simple mean for the RSI.

create or replace table plain_staging as
select symbol, timestamp, price, open, high, low, volume, previous_close, data_source, session, bar_length,
  cast(timezone('America/New_York', timezone('UTC', timestamp)) as date) as price_date,
  extract(hour from timezone('America/New_York', timezone('UTC', timestamp))) as price_hour,
  not (price <= 0 or coalesce(volume < 0, false) or coalesce(high < low, false) or coalesce(open < 0, false))
    as is_valid,
  case when price <= 0 then 'price <= 0' when volume < 0 then 'volume < 0' when high < low then 'high < low'
       when open < 0 then 'open < 0' end as invalid_reason,
  (price - lag(price) over (partition by symbol order by timestamp))
    / nullif(cast(lag(price) over (partition by symbol order by timestamp) as double), 0) * 100 as price_change_pct,
  abs((price - lag(price) over (partition by symbol order by timestamp))
    / nullif(cast(lag(price) over (partition by symbol order by timestamp) as double), 0) * 100) > 20
    as is_price_spike,
  epoch_us(appended_at - timestamp) / 1e6 as ingest_lag_seconds,
  load_id
from raw_stocks.stock_prices;

create or replace table plain_daily as
select symbol, price_date,
  min_by(open, timestamp) as daily_open, max(high) as daily_high, min(low) as daily_low,
  max_by(price, timestamp) as daily_close, sum(volume) as total_volume, avg(volume) as avg_volume,
  count(*) as data_points_count, min(timestamp) as first_timestamp, max(timestamp) as last_timestamp
from plain_staging
where is_valid and session = 'regular'
group by symbol, price_date;

create or replace table plain_bars as
select symbol, price_date, date_trunc('minute', timestamp) as bar_start,
  min_by(price, timestamp) as open, max(price) as high, min(price) as low, max_by(price, timestamp) as close,
  sum(volume) as volume, count(*) as quote_count
from plain_staging
where is_valid
group by symbol, price_date, date_trunc('minute', timestamp);

create or replace table plain_analytics as
with changes as (
  select *, daily_close - lag(daily_close) over w as change,
    ln(cast(daily_close as double) / lag(daily_close) over w) as log_return
  from plain_daily
  window w as (partition by symbol order by price_date)
)
select symbol, price_date, daily_close, total_volume,
  avg(daily_close) over (w rows 6 preceding) as ma_7_day,
  avg(daily_close) over (w rows 29 preceding) as ma_30_day,
  stddev_samp(daily_close) over (w rows 29 preceding) as volatility_30_day,
  stddev_samp(log_return) over (w rows 29 preceding) * sqrt(252) as return_volatility_30_day,
  max(daily_high) over (w rows 251 preceding) as high_52_week,
  min(daily_low) over (w rows 251 preceding) as low_52_week,
  total_volume / avg(total_volume) over (w rows 29 preceding) as volume_ratio,
  100 * sum(greatest(change, 0)) over (w rows 13 preceding)
    / nullif(sum(abs(change)) over (w rows 13 preceding), 0) as rsi_14,
  (log_return - avg(log_return) over (w rows between 30 preceding and 1 preceding))
    / nullif(stddev_samp(log_return) over (w rows between 30 preceding and 1 preceding), 0) as return_z_30_day
from changes
window w as (partition by symbol order by price_date);

checkpoint;
