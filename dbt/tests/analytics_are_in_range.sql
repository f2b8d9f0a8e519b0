-- Values that no prices can give, and days without, or with another, daily row.
select analytics.symbol, analytics.price_date, rsi_14, low_52_week, high_52_week, window_days
from {{ ref('stock_analytics') }} as analytics
left join {{ ref('int_stock_daily_aggregates') }} as daily
  on daily.symbol = analytics.symbol and daily.price_date = analytics.price_date
where {{ touched('analytics.price_date') }}
  and (rsi_14 < 0 or rsi_14 > 100 or low_52_week > high_52_week or window_days not between 1 and 252
       or volatility_30_day < 0 or return_volatility_30_day < 0
       or daily.symbol is null or daily.daily_close <> analytics.daily_close)
