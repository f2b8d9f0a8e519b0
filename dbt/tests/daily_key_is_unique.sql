{{ duplicate_keys(ref('int_stock_daily_aggregates'), ['symbol', 'price_date']) }}
