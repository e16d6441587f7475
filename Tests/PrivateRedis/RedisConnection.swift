/// One connection that speaks RESP 2.
struct RedisConnection {
  private let socket: Socket
  private var received: ArraySlice<UInt8> = []

  /// Connects to the server.
  ///
  /// - Throws: ``RedisError/connection(_:)``.
  init(_ endpoint: Endpoint, timeout seconds: Int) throws {
    socket = try Socket(connectingTo: endpoint, timeout: seconds)
  }

  /// Whether the connection can no longer be used.
  var isStale: Bool {
    socket.isStale
  }

  /// Sends a command and reads its answer.
  ///
  /// - Throws: ``RedisError/connection(_:)``.
  mutating func answer(to arguments: [String]) throws -> RedisValue {
    var command = "*\(arguments.count)\r\n"
    for argument in arguments {
      command += "$\(argument.utf8.count)\r\n\(argument)\r\n"
    }
    try socket.write(Array(command.utf8))
    return try value()
  }

  private mutating func value() throws -> RedisValue {
    let line = try line()
    let rest = String(line.dropFirst())
    switch line.first {
    case "+": return .status(rest)
    case "-": return .error(rest)
    case ":":
      if let number = Int(rest) { return .integer(number) }
    case "$":
      if rest == "-1" { return .null }
      if let count = Int(rest) { return .string(try text(count)) }
    case "*":
      if rest == "-1" { return .null }
      if let count = Int(rest) { return .array(try (0..<count).map { _ in try value() }) }
    default: break
    }
    throw RedisError.connection("not an answer: \(line)")
  }

  /// Reads up to the end of the line, and drops the line end.
  private mutating func line() throws -> String {
    var end = received.firstIndex(of: UInt8(ascii: "\r"))
    while end == nil {
      received += try socket.read()
      end = received.firstIndex(of: UInt8(ascii: "\r"))
    }
    return try text((end ?? received.endIndex) - received.startIndex)
  }

  /// Reads this many bytes, and drops the line end behind them.
  private mutating func text(_ count: Int) throws -> String {
    while received.count < count + 2 {
      received += try socket.read()
    }
    defer { received = received.dropFirst(count + 2) }
    return String(decoding: received.prefix(count), as: UTF8.self)
  }
}
