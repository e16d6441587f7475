import Testing

@testable import AsyncRedisLock

@Suite("A password", .timeLimit(.minutes(2)))
struct SecretTests {
  @Test(
    "A password in a malformed URL is in no rendering of the error",
    arguments: malformedURLs + foreignURLs + malformedTLSURLs + malformedSentinelURLs)
  func malformedURL(_ row: MalformedURL) {
    for marker in markers {
      for form in marker.forms {
        let replaced = row.url.replacing("hunter2", with: form)
        for url in [replaced, replaced.addingPassword(form)] {
          expectNoTrace(of: marker, inOutcomeOf: url)
        }
      }
    }
  }

  @Test(
    "A password in the wrong place of a URL is in no rendering of the error",
    arguments: misplacedPasswords)
  func misplaced(_ template: SampleText) {
    for marker in markers {
      for form in marker.forms {
        expectNoTrace(of: marker, inOutcomeOf: template.text.replacing("P", with: form))
      }
    }
  }

  @Test("A password in a configuration is in none of its renderings")
  func configuration() throws {
    for marker in markers {
      let configuration = LockerConfiguration(username: "u", password: Password(marker.plain))
      expectNoTrace(of: marker, in: configuration)
      expectNoTrace(of: marker, in: Optional(configuration))
      expectNoTrace(of: marker, in: [configuration])
      expectNoTrace(of: marker, in: Set([configuration]))
      let parsed = try LockerConfiguration(url: "redis://u:\(marker.encoded)@h")
      #expect(parsed.password?.value == marker.plain)
      expectNoTrace(of: marker, in: parsed)
      let ofSentinels = try LockerConfiguration(
        url: "redis+sentinel://h/m?sentinel_username=u&sentinel_password=\(marker.encoded)")
      #expect(ofSentinels.sentinelPassword?.value == marker.plain)
      expectNoTrace(of: marker, in: ofSentinels)
    }
  }

  @Test("A password is in none of its own renderings")
  func password() {
    for marker in markers {
      let password = Password(marker.plain)
      #expect(password.value == marker.plain)
      expectNoTrace(of: marker, in: password)
      expectNoTrace(of: marker, in: Optional(password))
      expectNoTrace(of: marker, in: [password: password])
      expectNoTrace(of: marker, in: (password, 1))
      #expect(password.description == "<redacted>")
      #expect(password.debugDescription == "<redacted>")
      #expect(Mirror(reflecting: password).children.isEmpty)
    }
  }

  @Test("A password in a configuration that breaks a rule is in no rendering of the error")
  func invalidConfiguration() throws {
    for marker in markers {
      let secret = Password(marker.plain)
      let url = "redis://:\(marker.encoded)@h"
      let configurations: [LockerConfiguration] = [
        .init(password: Password(marker.plain + "\0")),
        .init(username: "", password: secret),
        .init(username: marker.plain),
        .init(username: marker.plain + "\0", password: secret),
        .init(address: .tcp(host: "h", port: 0), password: secret),
        .init(address: .tcp(host: url)),
        .init(address: .tcp(host: "[\(marker.plain)")),
        .init(address: .unixSocket(path: url)),
        .init(address: .unixSocket(path: "/\(url)\0")),
        .init(password: secret, database: -1),
        .init(password: secret, clientName: " "),
        .init(password: secret, connectTimeout: .zero),
        .init(password: secret, operationTimeout: .zero),
        .init(password: secret, keyPrefix: ""),
        .init(password: secret, label: "\n"),
      ]
      for configuration in configurations {
        let error = try #require(throws: LockError.self) { try configuration.validate() }
        expectNoTrace(of: marker, in: error)
      }
    }
  }
}

/// URLs with a password at each P.
private let misplacedPasswords: [SampleText] = [
  "P", ":P", "P@h", ":P@h", "user:P@h:6379/0", "redis:P@h", "redis:/:P@h", "redis//:P@h",
  "redis://P@h", "redis://:P", "redis://user:P", "redis://user:P/0", "redis://user:P?db=1",
  "redis://:P@", "redis://user:P@:6379", "redis://:P@h:x", "redis://:P@h:1/x",
  "redis://:1/P@h", "redis://user:1/P", "redis://user:1/P@h", "redis://user:1/P/0",
  "redis://user:1?P", "redis://user:1?P=", "redis://user:1?P@h", "redis://user:1?P=@h",
  "redis://user:1?db=0&P", "redis://user:1#P@h", "redis://:a@P:x@", "redis://:a@P%zz",
  "redis://:a@P/x", "redis://:a@P%40h", "redis://user:P%40h:1/0", "redis://user:%P@h",
  "redis://:P%zz@h", "redis://P%zz:x@h", "redis://:P%ff@h", "redis://:P%00@h",
  "redis://[P]", "redis://[::1]P", "redis://[::1%P@]", "redis://user:[P]", "redis://h:P@",
  "redis://user@corp:P/0", "redis://me@corp.example:P@h:0", "redis:// :P@h", "redis://:P@h\n",
  "redis://:\n@P", "redis://h?password=P", "redis://h?auth=P&db=x", "redis://h?db=1&P",
  "unix://P/s", "unix://:P/s", "unix://:P", "unix://P@/s", "unix://:P@h/s", "unix://:P@s",
  "unix://:1/P@/s", "unix:P@/s", "rediss://:P@h", "rediss://P", "http://:P@h", "a b://:P@h",
  "redis:P://h", "user:P@redis://h", "redis://redis://:P@h", "redis://user:P@h@",
  "redis+sentinel://:P@h", "redis+sentinel://user:P@a,/m", "redis+sentinel://P@h/m",
  "redis+sentinel://h/m?sentinel_password=P", "redis+sentinel://h/m?sentinel_password=P&db=x",
  "redis+sentinel://h/m?sentinel_username=P", "redis://h?sentinel_password=P",
  "rediss+sentinel://:P@a,b:x/m", "redis+cluster://:P@a,", "rediss+cluster://:P@a,b:x",
]

/// A password that is easy to find.
private struct Marker: Sendable {
  let plain: String
  let encoded: String
  /// Parts that occur nowhere else, to find a password that was split.
  let traces: [String]

  var forms: [String] { [plain, encoded] }
}

private let markers: [Marker] = [
  Marker(plain: "Zq7Kx", encoded: "%5Aq7K%78", traces: ["q7k"]),
  Marker(plain: "zq7/kx9", encoded: "zq7%2Fkx9", traces: ["zq7", "kx9"]),
  Marker(
    plain: "Zq7?kx9#vj3@wé5:Yu8%25&bn4=", traces: ["zq7", "kx9", "vj3", "yu8", "bn4"]),
  Marker(plain: "7391/zq7", traces: ["7391", "zq7"]),
  Marker(plain: "7391", traces: ["7391"]),
  // No database has this number.
  Marker(plain: "98765432109", traces: ["98765432109"]),
  Marker(plain: "zq7 kx9", traces: ["zq7", "kx9"]),
]

extension Marker {
  init(plain: String, traces: [String]) {
    let hex = Array("0123456789ABCDEF")
    let encoded = plain.utf8.map { byte in
      byte.isASCIILetterOrDigit
        ? String(decoding: [byte], as: UTF8.self)
        : "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
    }.joined()
    self.init(plain: plain, encoded: encoded, traces: traces)
  }
}

/// Expects that neither the error nor the password of the configuration for `url` can be read anywhere.
private func expectNoTrace(
  of marker: Marker, inOutcomeOf url: String, sourceLocation: SourceLocation = #_sourceLocation
) {
  do throws(LockError) {
    // The rest is not secret: its writer put it where no password belongs.
    let configuration = try LockerConfiguration(url: url)
    let secrets = LockerConfiguration(
      password: configuration.password, sentinelPassword: configuration.sentinelPassword)
    expectNoTrace(of: marker, in: secrets, sourceLocation: sourceLocation)
  } catch {
    expectNoTrace(of: marker, in: error, about: url, sourceLocation: sourceLocation)
  }
}

private func expectNoTrace<Value>(
  of marker: Marker, in value: Value, about subject: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  var renderings = [
    "\(value)", String(describing: value), String(reflecting: value),
    String(describing: Mirror(reflecting: value).children.map { $0 }),
  ]
  if let value = value as? any CustomStringConvertible { renderings.append(value.description) }
  if let value = value as? any CustomDebugStringConvertible {
    renderings.append(value.debugDescription)
  }
  if let error = value as? LockError { renderings.append(error.message) }
  var dumped = ""
  dump(value, to: &dumped)
  renderings.append(dumped)
  let traces = (marker.forms + marker.traces).map { $0.lowercased() }
  let leaks = renderings.filter { rendering in
    let rendering = rendering.lowercased()
    return traces.contains { rendering.contains($0) }
  }
  #expect(leaks.isEmpty, "\(subject)", sourceLocation: sourceLocation)
}

extension String {
  /// The URL with a user and a password added in front of its host, or of the whole URL.
  fileprivate func addingPassword(_ password: String) -> String {
    let mark = "://"
    let parts = split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
    return parts.count == 2
      ? "\(parts[0])\(mark)user:\(password)@\(parts[1])" : "user:\(password)@\(self)"
  }
}
