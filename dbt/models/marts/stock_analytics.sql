{{ config(unique_key=['symbol', 'price_date'],
          post_hook='delete from {{ this }} where data_points_count = 0') }}

{%- set daily = ref('int_stock_daily_aggregates') -%}
{%- set staging = ref('stg_stock_prices') -%}
{%- set watermark = watermark() -%}

{%- if watermark is not none %}
{%- set fresh_days = days_above(staging, watermark) -%}
{#- Touched days that have, or had, a daily row; the others change nothing. #}
{%- set touched %}
  select fresh.symbol, fresh.price_date,
    case when daily.symbol is null then 1 else 0 end as is_gone
  from (
    select distinct symbol, price_date from {{ staging }} where load_id > {{ watermark }}
  ) as fresh
  left join (
    {{- rows_of_days(daily, fresh_days, 'symbol, price_date') }}
  ) as daily on daily.symbol = fresh.symbol and daily.price_date = fresh.price_date
  left join (
    {{- rows_of_days(this, fresh_days, 'symbol, price_date') }}
  ) as stored on stored.symbol = fresh.symbol and stored.price_date = fresh.price_date
  where daily.symbol is not null or stored.symbol is not null
{%- endset -%}
{#- The first row that is written needs the 251 before it. #}
{%- set since = first_day_needed(daily, touched, fresh_days[0], 251, 400) if fresh_days else none -%}
{%- endif %}

{#- Windows over whole histories are cheapest as windows. For a few rows a symbol, as when only today
    is touched, each is joined with the rows of its windows instead: the same aggregates, grouped. #}
{%- set joined = watermark is not none and fresh_days and text_column(
      'select case when count(*) <= 4 * count(distinct symbol) then 1 else 0 end from ' ~ daily
      ~ " where price_date >= date '" ~ fresh_days[0] ~ "'")[0] | int == 1 -%}

{#- Wilder's weights grow as (14/13)^row: counted anew every 1000 rows, so that they stay finite. -#}
{%- set growth = 'cast(14 as double) / 13' -%}
{%- set block = 1000 %}

with
{%- if watermark is not none %}
touched as (
  {{- touched }}
),

-- The first row at or after each touched day; it and the 251 after it are written again.
marks as (
  select symbol, price_date from touched where is_gone = 0
  union
  select touched.symbol, min(daily.price_date)
  from touched
  join {{ daily }} as daily on daily.symbol = touched.symbol and daily.price_date > touched.price_date
  where touched.is_gone = 1
  group by touched.symbol, touched.price_date
),

{% if since is not none -%}
older as (
  select symbol, count(*) as days from {{ daily }}
  where price_date < date '{{ since }}' and symbol in (select symbol from marks) group by symbol
),

{% endif -%}
numbered as (
  select daily.symbol, price_date, row_number() over (partition by daily.symbol order by price_date)
    {%- if since is not none %} + coalesce(older.days, 0){% endif %} as n
  from {{ daily }} as daily
  {%- if since is not none %}
  left join older on older.symbol = daily.symbol
  {%- endif %}
  where daily.symbol in (select symbol from marks)
  {%- if since is not none %} and price_date >= date '{{ since }}'{% endif %}
),

marked as (
  select numbered.symbol, n from numbered
  join marks on marks.symbol = numbered.symbol and marks.price_date = numbered.price_date
),

spans as (
  select symbol, min(n) as first_mark, max(n) as last_mark from marked group by symbol
),

near as (
  select numbered.symbol, price_date, numbered.n,
    max(case when marked.symbol is null then 0 else 1 end) over (
      partition by numbered.symbol order by numbered.n rows between 251 preceding and current row) as is_wanted
  from numbered
  join spans on spans.symbol = numbered.symbol
    and numbered.n between spans.first_mark - 251 and spans.last_mark + 251
  left join marked on marked.symbol = numbered.symbol and marked.n = numbered.n
),

days as (
  select daily.*, near.n, near.is_wanted
  from near
  join {{ daily }} as daily on daily.symbol = near.symbol and daily.price_date = near.price_date
),
{%- else %}
days as (
  select *, row_number() over (partition by symbol order by price_date) as n, 1 as is_wanted
  from {{ daily }}
),
{%- endif %}

prices as (
  select *, lag(daily_close) over (partition by symbol order by price_date) as previous_close
  from days
),

changes as (
  select *,
    ln(cast(daily_close as double) / cast(previous_close as double)) as log_return,
    cast(case when daily_close > previous_close then daily_close - previous_close else 0 end as double) as up,
    cast(case when daily_close < previous_close then previous_close - daily_close else 0 end as double) as down
    {%- if not joined %},
    mod(n, {{ 2 * block }}) < {{ block }} as is_even,
    power({{ growth }}, mod(n, {{ block }})) as weight,
    case when n > 252 then n - 237 else 15 end as seed_n
    {%- endif %}
  from prices
),

{%- set aggregates %}
    cast({{ of_last(7, 'sum', 'daily_close', joined) }} as double) / 7 as mean_7,
    cast({{ of_last(30, 'sum', 'daily_close', joined) }} as double) / 30 as mean_30,
    case when {{ of_last(30, 'min', 'daily_close', joined) }} = {{ of_last(30, 'max', 'daily_close', joined) }} then 0
         else {{ of_last(30, 'stddev_samp', 'cast(daily_close as double)', joined) }} end as deviation_30,
    {{ of_last(30, 'stddev_samp', 'log_return', joined) }} as return_deviation_30,
    {{ of_last(30, 'avg', 'log_return', joined, before=1) }} as earlier_return_mean,
    {{ of_last(30, 'stddev_samp', 'log_return', joined, before=1) }} as earlier_return_deviation,
    {{ of_last(252, 'max', 'daily_high', joined) }} as high_252,
    {{ of_last(252, 'min', 'daily_low', joined) }} as low_252,
    case when {{ of_last(30, 'count', 'total_volume', joined) }} = 30
         then cast({{ of_last(30, 'sum', 'total_volume', joined) }} as double) / 30 end as volume_mean_30
{%- endset %}

{%- if joined %}
pairs as (
  select today.symbol, today.n, least(today.n, 252) as closes, today.n - past.n as age,
    past.daily_close, past.daily_high, past.daily_low, past.total_volume, past.log_return, past.up, past.down
  from changes as today
  join changes as past on past.symbol = today.symbol and past.n between today.n - 251 and today.n
  where today.is_wanted = 1
),

-- Wilder's averages, times a factor that their ratio does not need: the first 14 changes weigh the
-- same, each later one 14/13 of the one before.
totals as (
  select symbol, n,
    {{- aggregates }},
    sum(case when age <= closes - 2 then up * power({{ growth }}, -least(age, closes - 15)) end) as gain,
    sum(case when age <= closes - 2 then down * power({{ growth }}, -least(age, closes - 15)) end) as loss
  from pairs
  group by symbol, n
),

averages as (
  select changes.*, {% for column in ['mean_7', 'mean_30', 'deviation_30', 'return_deviation_30', 'earlier_return_mean',
      'earlier_return_deviation', 'high_252', 'low_252', 'volume_mean_30', 'gain', 'loss'] -%}
    totals.{{ column }}{{ ', ' if not loop.last }}
  {%- endfor %}
  from changes
  join totals on totals.symbol = changes.symbol and totals.n = changes.n
)
{%- else %}
rolling as (
  select *,
    {{- aggregates }},
    sum(up) {{ last_rows(14) }} as up_14,
    sum(down) {{ last_rows(14) }} as down_14,
    sum(case when is_even and n > 15 then up * weight else 0 end) {{ last_rows(237) }} as up_even,
    sum(case when not is_even and n > 15 then up * weight else 0 end) {{ last_rows(237) }} as up_odd,
    sum(case when is_even and n > 15 then down * weight else 0 end) {{ last_rows(237) }} as down_even,
    sum(case when not is_even and n > 15 then down * weight else 0 end) {{ last_rows(237) }} as down_odd
  from changes
),

-- Both of Wilder's averages, times a factor that their ratio does not need: the sum of the first 14
-- changes at its age, and each later change at its own. A row's window touches two blocks at most.
averages as (
  select rolling.*,
    seed.up_14 * power({{ growth }}, seed.n - (rolling.n - mod(rolling.n, {{ block }})))
      + case when rolling.is_even then up_even + up_odd * power({{ growth }}, -{{ block }})
             else up_odd + up_even * power({{ growth }}, -{{ block }}) end as gain,
    seed.down_14 * power({{ growth }}, seed.n - (rolling.n - mod(rolling.n, {{ block }})))
      + case when rolling.is_even then down_even + down_odd * power({{ growth }}, -{{ block }})
             else down_odd + down_even * power({{ growth }}, -{{ block }}) end as loss
  from rolling
  left join (select symbol, n, up_14, down_14 from rolling) as seed
    on seed.symbol = rolling.symbol and seed.n = rolling.seed_n and rolling.n >= 15
)
{%- endif %}

select
  {{ dbt.hash(dbt.concat(['symbol', "'|'", 'cast(price_date as ' ~ dbt.type_string() ~ ')'])) }}
    as stock_analytics_id,
  symbol, price_date, daily_open, daily_high, daily_low, daily_close, total_volume, avg_volume,
  daily_change_pct, daily_return_pct, data_points_count,
  case when n >= 7 then mean_7 end as ma_7_day,
  case when n >= 30 then mean_30 end as ma_30_day,
  case when n >= 30 then deviation_30 end as volatility_30_day,
  case when n >= 31 then
    case when return_deviation_30 < 1e-12 then 0 else return_deviation_30 * sqrt(252) end
  end as return_volatility_30_day,
  case when n >= 252 then high_252 end as high_52_week,
  case when n >= 252 then low_252 end as low_52_week,
  case when n >= 30 then (cast(daily_close as double) - mean_30) / nullif(mean_30, 0) * 100 end
    as momentum_vs_30ma,
  case when n >= 252 then {{ percent_change('daily_close', 'high_252') }} end as pct_from_52w_high,
  case when n >= 252 then {{ percent_change('daily_close', 'low_252') }} end as pct_from_52w_low,
  case when n >= 30 then cast(total_volume as double) / nullif(volume_mean_30, 0) end as volume_ratio,
  case when n >= 15 then
    case when gain + loss = 0 then 50 else 100 * (gain / nullif(gain + loss, 0)) end
  end as rsi_14,
  return_z_30_day,
  coalesce(abs(return_z_30_day) > 4, false) as is_anomaly,
  cast(case when n < 252 then n else 252 end as integer) as window_days,
  load_id
from (
  select *,
    -- A deviation below 1e-12 is rounding: such returns were all the same.
    case when n >= 32 and earlier_return_deviation >= 1e-12
         then (log_return - earlier_return_mean) / earlier_return_deviation end as return_z_30_day
  from averages
) as measured
{%- if watermark is not none %}
where is_wanted = 1

union all
-- Touched days without a daily row left: written with count 0, removed by the post-hook.
select '', symbol, price_date, null, null, null, null, null, null, null, null, 0, null, null, null, null,
  null, null, null, null, null, null, null, null, false, 0, 0
from touched where is_gone = 1
{%- else %}
{{ kept_days('stock_analytics_id, symbol, price_date, daily_open, daily_high, daily_low, daily_close, total_volume,
  avg_volume, daily_change_pct, daily_return_pct, data_points_count, ma_7_day, ma_30_day, volatility_30_day,
  return_volatility_30_day, high_52_week, low_52_week, momentum_vs_30ma, pct_from_52w_high, pct_from_52w_low,
  volume_ratio, rsi_14, return_z_30_day, is_anomaly, window_days, load_id') }}
{%- endif %}
