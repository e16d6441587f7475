#if CommandLineTool
  import AsyncRedisLock

  /// A replica, as its primary describes it.
  struct Replica: Sendable, Equatable {
    let address: LockerConfiguration.Address
    /// Such as `online`.
    let state: String
    /// How many seconds ago the primary has heard of it; nil if it does not say.
    let lag: Int?

    /// A replica answers every second.
    private static let longestLag = 3

    /// Reads a line of `INFO replication`, such as `ip=10.0.0.2,port=6379,state=online,offset=14,lag=0`.
    init?(_ line: String) {
      var fields: [Substring: Substring] = [:]
      for field in line.split(separator: ",") {
        guard let equals = field.firstIndex(of: "=") else { continue }
        fields[field[..<equals]] = field[field.index(after: equals)...]
      }
      guard let host = fields["ip"], let port = fields["port"].flatMap({ UInt16($0) }), port > 0,
        let state = fields["state"]
      else { return nil }
      address = .tcp(host: String(host), port: port)
      self.state = String(state)
      lag = fields["lag"].flatMap { Int($0) }
    }

    /// What is wrong with it; nil if nothing is.
    var trouble: String? {
      if state != "online" { return "\(address) is in the state \(state)" }
      guard let lag, lag > Self.longestLag else { return nil }
      return "\(address) has been silent for \(lag) s"
    }

    /// The finding about all replicas of a primary, of which locks need some; nil if there are none.
    static func finding(on replicas: [Replica], needing acknowledgements: Int) -> Finding? {
      guard !replicas.isEmpty || acknowledgements > 0 else { return nil }
      let troubles = replicas.compactMap(\.trouble)
      let count = replicas.count - troubles.count
      let text = "\(count) of \(replicas.count) in step"
      let details = troubles.isEmpty ? "" : ": " + troubles.joined(separator: ", ")
      if count < acknowledgements {
        return Finding(
          .problem, "replicas",
          "\(text)\(details): no lock can be acquired, since replica_acknowledgements is \(acknowledgements)"
        )
      }
      guard troubles.isEmpty else { return Finding(.warning, "replicas", text + details) }
      let lag = replicas.compactMap(\.lag).max().map { ", the longest silence \($0) s" } ?? ""
      return Finding(.fine, "replicas", text + lag)
    }
  }
#endif
