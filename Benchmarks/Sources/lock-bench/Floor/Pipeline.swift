/// Many commands in one write.
enum Pipeline {
  /// How many commands the floor sends at once.
  static let batch = 256

  /// Cuts the numbers below the count into batches.
  static func batches(of count: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: batch).map { $0..<min($0 + batch, count) }
  }

  /// Sends the commands together and checks their replies.
  static func send(
    _ commands: [PreparedCommand], _ connection: HiredisConnection,
    check: (HiredisReply) throws -> Void
  ) throws {
    for command in commands { connection.append(command) }
    for _ in commands { try check(connection.reply()) }
  }
}
