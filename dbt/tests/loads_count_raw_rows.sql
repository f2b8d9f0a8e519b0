-- A message counts as `loaded` when it makes a new row, and rows stay until retention cuts their day: so the
-- sum over the loads is the row count of raw and of what was cut. After a given load, rows with a later
-- load_id are loaded or superseded ones.
{%- set raw = source('raw_stocks', 'stock_prices') -%}
{%- set loads = source('raw_stocks', 'loads') -%}
{%- set after = var('touched_after_load_id', none) %}
select * from (
  {%- if after is none %}
  select
    (select coalesce(sum(loaded), 0) from {{ loads }}) as counted,
    (select count(*) from {{ raw }})
      + (select coalesce(sum(raw_rows), 0) from {{ source('raw_stocks', 'retention') }}) as stored
) as sums
where counted <> stored
  {%- else %}
  select
    (select coalesce(sum(loaded + superseded), 0) from {{ loads }} where load_id > {{ after }}) as counted,
    (select count(*) from {{ raw }} where load_id > {{ after }}) as stored
) as sums
where stored > counted
  {%- endif %}
