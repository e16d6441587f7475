/// What a contestant on plain hiredis needs to know of a reply.
enum HiredisReply: Equatable {
  case ok
  case integer(Int)
  case text(String)
  /// Any list; nobody asks what is in it.
  case list
  case null
}
