internal import CHiredis

extension Reply {
  /// Copies a reply; nil for a type that RESP2 does not have.
  ///
  /// The recursion is bounded: the reader stops before a reply nests deeper than 8.
  init?(copying reply: UnsafePointer<redisReply>) {
    let body = unsafe reply.pointee
    switch unsafe body.type {
    case REDIS_REPLY_STATUS: self = unsafe .status(Self.text(body))
    case REDIS_REPLY_STRING: self = unsafe .string(Self.text(body))
    case REDIS_REPLY_ERROR: self = unsafe .error(ServerError(message: Self.text(body)))
    case REDIS_REPLY_INTEGER: self = unsafe .integer(body.integer)
    case REDIS_REPLY_NIL: self = .null
    case REDIS_REPLY_ARRAY:
      var elements: [Reply] = []
      unsafe elements.reserveCapacity(body.elements)
      for index in unsafe 0..<body.elements {
        guard let element = unsafe body.element[index], let copy = unsafe Reply(copying: element)
        else { return nil }
        elements.append(copy)
      }
      self = .array(elements)
    default: return nil
    }
  }

  /// The text of a reply.
  ///
  /// Bytes that are not UTF-8 become escapes. No token of this library contains their backslash, so a foreign
  /// value cannot pass for one.
  private static func text(_ body: redisReply) -> String {
    guard let start = unsafe body.str else { return "" }
    return unsafe String(
      escapingInvalid: UnsafeRawBufferPointer(start: start, count: Int(body.len)))
  }
}
