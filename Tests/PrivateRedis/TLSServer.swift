import Foundation

/// A server that listens for TLS at a port of 127.0.0.1, and without at another address.
package struct TLSServer {
  package let plain: RedisServer
  package let port: Int

  /// Starts it.
  ///
  /// - Throws: ``RedisError/start(_:)`` with the server's log.
  package init(
    _ identity: Certificates.Identity, authority: Certificates.Identity, asksClients: Bool = false,
    arguments: [String] = [], listen: RedisServer.Listener = .unixSocket
  ) throws {
    var triesLeft = 20
    while true {
      let port = try freeTCPPort()
      do {
        plain = try RedisServer(
          arguments: [
            "--bind", "127.0.0.1", "--tls-port", "\(port)", "--tls-cert-file", identity.certificate,
            "--tls-key-file", identity.key, "--tls-ca-cert-file", authority.certificate,
            "--tls-auth-clients", asksClients ? "yes" : "no",
          ] + arguments, listen: listen)
        self.port = port
        return
      } catch RedisError.start(let log)
        where log.contains("Address already in use") && triesLeft > 0
      {
        triesLeft -= 1
      }
    }
  }

  /// The URL of the port with TLS.
  package func url(host: String = "localhost", _ query: String = "") -> String {
    "rediss://\(host):\(port)/?operation_timeout=5&connect_timeout=5"
      + (query.isEmpty ? "" : "&\(query)")
  }
}
