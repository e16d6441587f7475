extension RedisURL {
  /// The sentinels that the authority lists, and the name of the primary from the path.
  var sentinelAddress: LockerConfiguration.Address {
    get throws(LockError) {
      let sentinels = try hosts().map { host, port -> LockerConfiguration.Address.Sentinel in
        port.map { .init(host: host, port: $0) } ?? .init(host: host)
      }
      return .sentinels(sentinels, primary: try primary.percentDecoded(as: "primary"))
    }
  }

  private var primary: ArraySlice<UInt8> { path.dropFirst().prefix { $0 != UInt8(ascii: "/") } }

  /// The path's part behind the name of the primary, if there is one.
  var databaseBehindPrimary: ArraySlice<UInt8>? {
    let rest = path[primary.endIndex...].dropFirst()
    return rest.isEmpty ? nil : rest
  }
}
