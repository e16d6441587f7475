/// A reply, as far as a contestant on plain hiredis needs to know it.
enum HiredisReply: Equatable {
  case ok
  case integer(Int)
  case text(String)
  /// Any list; its contents do not matter.
  case list
  case null
}
