internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The look-ups of this process that are under way.
///
/// A look-up that hangs blocks a thread for as long as the system likes. Meanwhile, all callers that ask for the
/// same name wait for the same answer. If that takes long, a second look-up may find that the name server has
/// recovered. So a name takes two threads at most, however many lockers ask.
enum LookUp {
  private struct Name: Hashable {
    let host: String
    let port: UInt16
  }

  private struct UnderWay {
    var count = 0
    var latest: Instant
    /// Each resolver once, however often it asks.
    var waiting: [ObjectIdentifier: Resolver] = [:]
  }

  private static let underWay = Locked<[Name: UnderWay]>([:])
  /// A working name server answers sooner than this.
  private static let patience = Duration.seconds(1)
  private static let largestCount = 2

  /// Gives a resolver the addresses of a name when they have been found, however long that takes.
  static func of(_ host: String, _ port: UInt16, for resolver: Resolver) {
    let name = Name(host: host, port: port)
    let now = Instant.now
    let begins = underWay.withLock { all in
      var one = all[name] ?? UnderWay(latest: now)
      one.waiting[ObjectIdentifier(resolver)] = resolver
      let begins =
        one.count == 0 || one.count < largestCount && one.latest + patience <= now
      if begins {
        one.count += 1
        one.latest = now
      }
      all[name] = one
      return begins
    }
    guard begins else { return }
    // Not on a queue: Dispatch has a limited number of threads, and the program may block all of them.
    do throws(SystemError) {
      try DetachedThread.start { end(name, with: addresses(of: host, port, flags: 0)) }
    } catch {
      let failure = TransportError.unreachable(
        "looking up \(host): the system allows no thread: \(error)")
      end(name, with: .failure(failure), ifOnlyOne: true)
    }
  }

  /// Notes the end of a look-up, and tells its result; `ifOnlyOne`, then not while another is under way.
  private static func end(
    _ name: Name, with result: Result<[SocketAddress], TransportError>, ifOnlyOne: Bool = false
  ) {
    let waiting: [ObjectIdentifier: Resolver] = underWay.withLock { all in
      guard var one = all[name] else { return [:] }
      one.count -= 1
      var waiting: [ObjectIdentifier: Resolver] = [:]
      if one.count == 0 || !ifOnlyOne { swap(&waiting, &one.waiting) }
      all[name] = one.count == 0 ? nil : one
      return waiting
    }
    for resolver in waiting.values { resolver.found(result) }
  }

  /// Asks the system, however long that takes.
  static func addresses(
    of host: String, _ port: UInt16, flags: CInt
  ) -> Result<[SocketAddress], TransportError> {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = AF_UNSPEC
    #if canImport(Darwin)
      unsafe hints.ai_socktype = SOCK_STREAM
    #else
      unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    #endif
    unsafe hints.ai_flags = flags
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, String(port), &hints, &list)
    guard status == 0 else {
      let reason = unsafe gai_strerror(status).map { unsafe String(cString: $0) }
      return .failure(.unreachable("looking up \(host): \(reason ?? "error \(status)")"))
    }
    defer { unsafe freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next {
      if let address = unsafe entry.pointee.ai_addr {
        unsafe found.append(
          SocketAddress(copying: address, length: entry.pointee.ai_addrlen))
      }
      unsafe next = entry.pointee.ai_next
    }
    return .success(found)
  }
}
