/// Keys on the server that are held while something else is measured.
enum HeldKeys {
  /// Long enough for a measurement, so that no key needs an extension meanwhile.
  static let ttl = 60_000

  /// Sets this many keys.
  static func take(_ count: Int, _ order: WorkerOrder, _ connection: HiredisConnection) throws {
    for batch in Pipeline.batches(of: count) {
      let commands = batch.map {
        PreparedCommand("SET", order.heldKey($0), "held", "NX", "PX", "\(ttl)")
      }
      try Pipeline.send(commands, connection, check: LockCommands.checkAcquired)
    }
  }
}
