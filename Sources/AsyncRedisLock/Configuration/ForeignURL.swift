/// Recognizes what other clients and services use in place of a URL of a server, to say what to write instead.
///
/// No message quotes any of it, since all of it may be a password.
enum ForeignURL {
  /// What to do about a text without a scheme, if it is of a known kind.
  static func advice(for text: some Collection<UInt8>) -> String? {
    let text = String(decoding: text, as: UTF8.self).lowercased()
    if text.hasPrefix("\"") || text.hasPrefix("'") {
      return "URL begins with a quotation mark; leave the quotation marks out"
    }
    if text.hasPrefix("redis-cli ") || text.hasPrefix("valkey-cli ") {
      return
        "URL is a command line; only the part that begins with redis:// or rediss:// is the URL"
    }
    if text.hasPrefix("$") || text.hasPrefix("{{") {
      return "URL is the name of a variable, which has not been replaced by its value"
    }
    if ["ssl=", "password=", "abortconnect="].contains(where: { text.contains(",\($0)") }) {
      return
        "URL is a connection string of .NET; write it rediss://:password@host:6380, or redis:// "
        + "without TLS, with a / in the password as %2F and a = as it is"
    }
    let name = text.prefix { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) }
    if !name.isEmpty, text[name.endIndex...].hasPrefix("=") {
      return "URL begins with the name of a variable and a =; leave both out"
    }
    return nil
  }

  /// What to do about a scheme that stands for something else, if it is known.
  static func advice(forScheme scheme: String) -> String? {
    switch scheme {
    case "http", "https":
      "a REST interface cannot be used; the service also shows a URL that begins with rediss:// or "
        + "redis://"
    case "tcp":
      "write redis, or rediss for TLS; Kubernetes and Docker set such variables themselves"
    case "tls", "ssl": "write rediss for TLS"
    default: nil
    }
  }

  /// What to do about a parameter of other clients, if it is known.
  static func advice(forParameter name: String) -> String? {
    switch name {
    case "family": "all addresses of a host are tried, IPv4 and IPv6"
    case "ssl", "tls", "use_tls": "the scheme rediss in place of redis asks for TLS"
    case "password", "auth", "username", "user":
      "user and password stand before the host, as in redis://user:password@host"
    case "host", "port": "host and port stand behind ://, as in redis://host:6379"
    case "protocol": "the protocol RESP2 is spoken with every server"
    case "pool_size", "max_connections", "connection_limit", "min_idle_conns":
      "a locker has one connection, and a second one while it waits"
    case "retry_on_timeout", "max_retries", "health_check_interval", "decode_responses":
      "it sets something that this library decides itself"
    default: nil
    }
  }
}
