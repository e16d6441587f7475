import FaultProxy

/// Nodes of a cluster in the test process.
extension FakeServer {
  /// Starts a node that has all slots by its own words.
  ///
  /// - Throws: `POSIXError`.
  static func node(_ script: @escaping Script) throws -> FakeServer {
    let own = Shared("")
    let node = try FakeServer { command, connection, index in
      script(command, connection, index)
        ?? (command.name == "CLUSTER" ? slots(of: own.value) : nil)
    }
    own.value = node.port
    return node
  }

  /// The answer to `CLUSTER SLOTS` that names one node.
  static func slots(of port: String) -> FakeAnswer {
    .send("*1\r\n" + range(0...16383, of: port))
  }

  /// A node's slots in the answer to `CLUSTER SLOTS`.
  static func range(_ slots: ClosedRange<Int>, of port: String, id: String = "id") -> String {
    "*3\r\n:\(slots.lowerBound)\r\n:\(slots.upperBound)\r\n*3\r\n$9\r\n127.0.0.1\r\n:\(port)\r\n"
      + FakeAnswer.bulkText(id)
  }

  var port: String { String(url.split(separator: ":").last ?? "") }

  /// The URL of a cluster of which it is the only known node.
  var clusterURL: String { "redis+cluster://127.0.0.1:\(port)" }

  /// The scripts about a key or a token that it has got, in order.
  func scripts(about word: String) -> [[String]] {
    commands.joined().filter { $0.name.hasPrefix("EVAL") && $0.words.contains(word) }.map(\.words)
  }
}
