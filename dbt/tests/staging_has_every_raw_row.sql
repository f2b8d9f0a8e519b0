-- Days on which raw and staging differ in their number of rows.
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
where staged.stored is null or staged.stored <> raw.stored
