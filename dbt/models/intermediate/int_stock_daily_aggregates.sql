{{ config(unique_key=['symbol', 'price_date'],
          post_hook='delete from {{ this }} where data_points_count = 0') }}

{%- set staging = ref('stg_stock_prices') -%}
{%- set watermark = watermark() -%}
{%- set counts = "case when is_valid and session = 'regular' then 1 else 0 end" -%}

{%- if watermark is not none %}
{%- set fresh_days = days_above(staging, watermark) -%}
{#- Touched keys: those that have a row here, or get one. #}
{%- set touched %}
  select fresh.symbol, fresh.price_date
  from (
    select symbol, price_date, max({{ counts }}) as counts
    from {{ staging }} where load_id > {{ watermark }} group by symbol, price_date
  ) as fresh
  left join (
    {{- rows_of_days(this, fresh_days, 'symbol, price_date') }}
  ) as stored on stored.symbol = fresh.symbol and stored.price_date = fresh.price_date
  where fresh.counts = 1 or stored.symbol is not null
{%- endset %}
{%- set since = first_day_needed(this, touched, fresh_days[0], 1, 10) if fresh_days else none -%}
{%- endif %}

with
{%- if watermark is not none %}
touched as (
  {{- touched }}
),
{% endif %}

quotes as (
  select symbol, price_date, timestamp, price, open, high, low, volume, load_id,
    {{ counts }} as counts,
    case when {{ counts }} = 1 then {{ origin_source('data_source') }} end as origin_source,
    case when {{ counts }} = 1 then bar_length end as origin_bar_length
  {%- if watermark is none %}
  from {{ staging }}
  {%- else %}
  {%- set days = text_column('select distinct cast(price_date as varchar) as day from (' ~ touched ~ ') as touched order by 1') %}
  from (
    {{- rows_of_days(staging, days, '*') }}
  ) as staging
  where (symbol, price_date) in (select symbol, price_date from touched)
  {%- endif %}
),

origins as (
  select symbol, price_date, counts, origin_source, origin_bar_length,
    min_by(open, case when open is not null then timestamp end) as daily_open,
    max(high) as daily_high,
    min(low) as daily_low,
    max_by(price, timestamp) as daily_close,
    {{ total_volume('volume') }} as total_volume,
    cast(sum(volume) as double) / nullif(count(volume), 0) as avg_volume,
    count(*) as data_points_count,
    min(timestamp) as first_timestamp,
    max(timestamp) as last_timestamp,
    max(load_id) as load_id
  from quotes
  group by symbol, price_date, counts, origin_source, origin_bar_length
),

ranked as (
  select symbol, price_date, counts, origin_source, origin_bar_length, daily_open, daily_high, daily_low,
    daily_close, total_volume, avg_volume, data_points_count, first_timestamp, last_timestamp,
    max(load_id) over (partition by symbol, price_date) as load_id,
    row_number() over (
      partition by symbol, price_date
      order by counts desc, case when origin_bar_length = '1d' then 0 else 1 end,
        coalesce(total_volume, 0) desc, data_points_count desc, origin_source,
        coalesce(origin_bar_length, '')) as place
  from origins
),

{%- set columns %}symbol, price_date, daily_open, daily_high, daily_low, daily_close, total_volume, avg_volume,
    data_points_count, first_timestamp, last_timestamp, origin_source, origin_bar_length, load_id
{%- endset %}

days as (
  select {{ columns }} from ranked where counts = 1 and place = 1
  {% if watermark is none %}{{ kept_days(columns, 'and') }}{% endif %}
),

{% if watermark is not none -%}
-- Stored rows of the touched symbols, from the last one before the first touched day.
first_touched as (
  select symbol, min(price_date) as price_date from touched group by symbol
),

stored as (
  select * from {{ this }}
  {%- if since is not none %} where price_date >= date '{{ since }}'{% endif %}
),

last_before as (
  select stored.symbol, max(stored.price_date) as price_date
  from stored
  join first_touched on first_touched.symbol = stored.symbol and stored.price_date < first_touched.price_date
  group by stored.symbol
),

around as (
  select stored.*, case when stored.price_date > first_touched.price_date then 1 else 0 end as is_after
  from stored
  join first_touched on first_touched.symbol = stored.symbol
  left join last_before on last_before.symbol = stored.symbol
  left join touched on touched.symbol = stored.symbol and touched.price_date = stored.price_date
  where stored.price_date >= coalesce(last_before.price_date, first_touched.price_date)
    and touched.symbol is null
),
{%- endif %}

returns as (
  select {{ columns }}, is_new, is_after, stored_return_pct,
    {{ percent_change('daily_close', 'lag(daily_close) over (partition by symbol order by price_date)') }}
      as daily_return_pct
  from (
    select {{ columns }}, 1 as is_new, 0 as is_after,
      cast(null as double) as stored_return_pct from days
    {%- if watermark is not none %}
    union all
    select {{ columns }}, 0, is_after, daily_return_pct from around
    {%- endif %}
  ) as all_days
)

select symbol, price_date, daily_open, daily_high, daily_low, daily_close, total_volume, avg_volume,
  {{ percent_change('daily_close', 'daily_open') }} as daily_change_pct,
  daily_return_pct,
  data_points_count, first_timestamp, last_timestamp, origin_source, origin_bar_length, load_id
from returns
{%- if watermark is not none %}
where is_new = 1 or (is_after = 1 and daily_return_pct is distinct from stored_return_pct)

union all
-- Touched days without a row left: written with count 0, removed by the post-hook.
select touched.symbol, touched.price_date, null, null, null, null, null, null, null, null, 0, null, null,
  null, null, 0
from touched
left join days on days.symbol = touched.symbol and days.price_date = touched.price_date
where days.symbol is null
{%- endif %}
