/// The address at which a server listens.
enum Endpoint: Sendable {
  case unixSocket(path: String)
  case tcp(port: UInt16)

  /// The arguments that make `redis-server` listen here and nowhere else.
  var arguments: [String] {
    switch self {
    case .unixSocket(let path): ["--port", "0", "--unixsocket", path, "--unixsocketperm", "700"]
    case .tcp(let port): ["--port", "\(port)", "--bind", "127.0.0.1"]
    }
  }

  var url: String {
    switch self {
    case .unixSocket(let path): "unix://\(path)"
    case .tcp(let port): "redis://127.0.0.1:\(port)"
    }
  }
}
