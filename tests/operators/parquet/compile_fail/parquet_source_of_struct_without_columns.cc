// expect: ParquetSource: the row must be a struct with HEADWAY_COLUMNS
#include <string>

#include "operators/parquet/parquet_source.h"

struct Trade {
  std::string symbol;
};

headway::ParquetSource<Trade> Trades() { return headway::ParquetSource<Trade>("trades"); }
