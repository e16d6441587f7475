/// What is asked for: keys, under a token that is used for this alone.
package struct Claim: Sendable {
  package let keys: [String]
  package let token: String
  package let ttl: Duration

  package init(keys: [String], token: String, ttl: Duration) {
    self.keys = keys
    self.token = token
    self.ttl = ttl
  }
}
