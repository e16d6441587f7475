#if TLS
  #if canImport(Darwin)
    internal import Darwin
  #else
    internal import Glibc
  #endif

  /// The name or address that a server's certificate has to be for.
  struct TLSPeer: Equatable {
    let name: String
    let isAddress: Bool

    /// Takes the host of a server's address, or a name that is to stand in its place.
    init(host: String, serverName: String?) {
      // The zone of an IPv6 address means something on this machine only.
      let name = serverName ?? String(host.prefix { $0 != "%" })
      isAddress = Self.isAddress(name)
      // The dot at the end of a complete name is no part of it in a certificate.
      self.name = name.hasSuffix(".") && !isAddress ? String(name.dropLast()) : name
    }

    private static func isAddress(_ text: String) -> Bool {
      var address = in6_addr()
      return [AF_INET, AF_INET6].contains { unsafe inet_pton($0, text, &address) == 1 }
    }
  }
#endif
