{{ config(unique_key=['symbol', 'bar_start'],
          post_hook='delete from {{ this }} where quote_count = 0') }}

{%- set staging = ref('stg_stock_prices') -%}
{%- set watermark = watermark() -%}
{%- set minute = dbt.date_trunc('minute', 'timestamp') -%}
{%- set counts = "case when is_valid and (bar_length is null or bar_length = '1m') then 1 else 0 end" %}

with
{%- if watermark is not none %}
{#- Touched minutes: those that have a row here, or get one. Only those without a new row that
    counts are looked for among the stored ones. #}
{%- set fresh %}
  select symbol, price_date, {{ minute }} as bar_start, max({{ counts }}) as counts
  from {{ staging }} where load_id > {{ watermark }} group by symbol, price_date, {{ minute }}
{%- endset %}
{%- set doubtful_days = text_column('select distinct cast(price_date as varchar) as day from (' ~ fresh
                                    ~ ') as fresh where counts = 0 order by 1') %}
{%- set touched %}
  select fresh.symbol, fresh.price_date, fresh.bar_start
  from (
    {{- fresh }}
  ) as fresh
  left join (
    {{- rows_of_days(this, doubtful_days, 'symbol, bar_start') }}
  ) as stored on stored.symbol = fresh.symbol and stored.bar_start = fresh.bar_start
  where fresh.counts = 1 or stored.symbol is not null
{%- endset %}
{%- set days = [] %}
{%- set within = {} %}
{%- if execute %}
  {%- for row in run_query('select cast(price_date as varchar) as day, cast(min(bar_start) as varchar), '
        ~ "cast(max(bar_start) + interval '1 minute' as varchar) from (" ~ touched
        ~ ') as touched group by price_date order by 1').rows %}
    {%- do days.append(row[0]) %}
    {%- do within.update({row[0]: " and timestamp >= timestamp '" ~ row[1] ~ "' and timestamp < timestamp '" ~ row[2] ~ "'"}) %}
  {%- endfor %}
{%- endif %}
touched as (
  {{- touched }}
),
{%- endif %}

quotes as (
  select symbol, {{ minute }} as bar_start, price_date, timestamp, price, volume, load_id,
    {{ counts }} as counts,
    case when {{ counts }} = 1 then {{ origin_source('data_source') }} end as origin_source,
    case when {{ counts }} = 1 then bar_length end as origin_bar_length
  {%- if watermark is none %}
  from {{ staging }}
  {%- else %}
  from (
    {{- rows_of_days(staging, days, '*', within=within) }}
  ) as staging
  where (symbol, {{ minute }}) in (select symbol, bar_start from touched)
  {%- endif %}
),

origins as (
  select symbol, bar_start, price_date, counts, origin_source, origin_bar_length,
    min_by(price, timestamp) as open,
    max(price) as high,
    min(price) as low,
    max_by(price, timestamp) as close,
    {{ total_volume('volume') }} as volume,
    count(*) as quote_count,
    max(load_id) as load_id
  from quotes
  group by symbol, bar_start, price_date, counts, origin_source, origin_bar_length
),

ranked as (
  select symbol, bar_start, price_date, counts, open, high, low, close, volume, quote_count,
    max(load_id) over (partition by symbol, bar_start) as load_id,
    row_number() over (
      partition by symbol, bar_start
      order by counts desc, coalesce(volume, 0) desc, quote_count desc, origin_source,
        coalesce(origin_bar_length, '')) as place
  from origins
)

select symbol, bar_start, price_date, open, high, low, close, volume, quote_count, load_id
from ranked
where counts = 1 and place = 1
{%- if watermark is none %}
{{ kept_days('symbol, bar_start, price_date, open, high, low, close, volume, quote_count, load_id', 'and') }}
{%- else %}

union all
-- Touched minutes without a quote left: written with count 0, removed by the post-hook.
select touched.symbol, touched.bar_start, touched.price_date, null, null, null, null, null, 0, 0
from touched
left join ranked on ranked.symbol = touched.symbol and ranked.bar_start = touched.bar_start
  and ranked.counts = 1
where ranked.symbol is null
{%- endif %}
