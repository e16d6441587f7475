/// What a server's certificate says; its chain, dates and name have been verified.
package struct ServerCertificate: Sendable, Equatable {
  /// The server, as in `CN=cache.example.com`.
  package let subject: String
  /// The authority that has signed it.
  package let issuer: String
  /// The alternative names, as in `DNS:cache.example.com, IP Address:10.0.0.1`.
  package let names: String
  /// The name or address that it was verified for.
  package let verifiedName: String
  /// How long it is valid from now on; at most a day too short.
  package let daysLeft: Int
}
