// Table: the rows of a query as templates see them, in the shape of Python's agate.
//
//   table.rows, table.columns[0].values(), table.column_names, row['x'], row[0], row.x

#pragma once

#include "jinja/value.h"
#include "warehouse/warehouse.h"

namespace tapeline::transform {

jinja::Value table_value(const warehouse::Rows& rows);

}  // namespace tapeline::transform
