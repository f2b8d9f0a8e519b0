#include "market/quote.h"

namespace tapeline {

std::optional<Session> session_from_text(std::string_view text) {
  for (const Session session : {Session::pre, Session::regular, Session::post, Session::closed}) {
    if (text == to_string(session)) return session;
  }
  return std::nullopt;
}

std::optional<BarLength> bar_length_from_text(std::string_view text) {
  for (const BarLength length : {BarLength::m1, BarLength::m5, BarLength::m15, BarLength::m30,
                                 BarLength::h1, BarLength::h4, BarLength::d1}) {
    if (text == to_string(length)) return length;
  }
  return std::nullopt;
}

Duration duration_of(BarLength length) {
  using std::chrono::hours;
  using std::chrono::minutes;
  switch (length) {
    case BarLength::m1:
      return minutes(1);
    case BarLength::m5:
      return minutes(5);
    case BarLength::m15:
      return minutes(15);
    case BarLength::m30:
      return minutes(30);
    case BarLength::h1:
      return hours(1);
    case BarLength::h4:
      return hours(4);
    case BarLength::d1:
      return hours(24);
  }
  return hours(24);
}

}  // namespace tapeline
