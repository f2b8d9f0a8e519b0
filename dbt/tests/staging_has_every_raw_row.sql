-- Days on which raw and staging differ in their number of rows. Another loader may have come since the models
-- ran, up to the load of the variable modelled_until_load_id: its days are judged after their own run of the models.
{%- set until = var('modelled_until_load_id', none) %}
with raw as (
  select price_date, count(*) as stored
  from {{ source('raw_stocks', 'stock_prices') }} where {{ touched() }} group by price_date
), staged as (
  select price_date, count(*) as stored
  from {{ ref('stg_stock_prices') }} where {{ touched() }} group by price_date
)
select raw.price_date, raw.stored as in_raw, staged.stored as in_staging
from raw
left join staged on staged.price_date = raw.price_date
where (staged.stored is null or staged.stored <> raw.stored)
  {%- if until is not none %}
  and raw.price_date not in (
    select price_date from {{ source('raw_stocks', 'stock_prices') }} where load_id > {{ until }})
  {%- endif %}
