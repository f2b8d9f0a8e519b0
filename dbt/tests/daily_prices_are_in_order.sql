-- Daily rows whose low is above the high, that were made of nothing, or have less than no volume.
select symbol, price_date, daily_open, daily_high, daily_low, data_points_count
from {{ ref('int_stock_daily_aggregates') }}
where {{ touched() }}
  and (daily_low > daily_high or data_points_count < 1 or total_volume < 0)
