import ChaosLog
import Testing

@testable import AsyncRedisLock

@Suite("A server URL", .timeLimit(.minutes(2)))
struct URLTests {
  private let host = LockerConfiguration.Address.tcp(host: "h")

  @Test(
    "A well-formed URL gives exactly the configuration it describes",
    arguments: wellFormedURLs + wellFormedTLSURLs + wellFormedSentinelURLs
      + wellFormedClusterURLs + providerURLs + providerTLSURLs)
  func wellFormedURL(_ row: WellFormedURL) throws {
    let configuration = try LockerConfiguration(url: row.url)
    #expect(configuration == row.configuration)
    // Strings that only look alike are equal in Swift, but not for a server.
    #expect(configuration.password?.bytes == row.configuration.password?.bytes)
    #expect(configuration.username?.bytes == row.configuration.username?.bytes)
  }

  @Test(
    "A malformed URL throws an error that names the part",
    arguments: malformedURLs + malformedTLSURLs + malformedSentinelURLs + malformedClusterURLs
      + foreignURLs)
  func malformedURL(_ row: MalformedURL) throws {
    let error = try #require(throws: LockError.self) { try LockerConfiguration(url: row.url) }
    #expect(error.code == row.code)
    #expect(error.message.contains(row.word))
    #expect(!error.message.contains("hunter2"))
    #expect(error.message.utf8.count < 500)
    #expect(!error.isRetryable)
  }

  @Test("A URL may be 8 KiB long, and not longer")
  func length() {
    let start = "redis://:"
    let end = "@host"
    let room = 8192 - start.utf8.count - end.utf8.count
    let longest = start + String(repeating: "p", count: room) + end
    #expect(throws: Never.self) { try LockerConfiguration(url: longest) }
    let error = #expect(throws: LockError.self) { try LockerConfiguration(url: longest + "x") }
    #expect(error?.code == .invalidURL)
    #expect(error?.message == "URL must be at most 8192 bytes long, not 8193")
  }

  @Test("A URL's scheme means the same in upper case, and by its other name")
  func schemes() throws {
    let expected = try LockerConfiguration(url: "redis://:pw@host:7000/1")
    for scheme in ["REDIS", "Redis", "valkey", "Valkey"] {
      #expect(try LockerConfiguration(url: "\(scheme)://:pw@host:7000/1") == expected)
    }
  }

  @Test("A URL may use any name of a parameter, but only one of them")
  func aliases() throws {
    let connect = ["connect_timeout", "socket_connect_timeout", "dial_timeout"]
    let operation = ["operation_timeout", "timeout", "socket_timeout", "read_timeout"]
    for name in connect {
      let configuration = try LockerConfiguration(url: "redis://h?\(name)=7s")
      #expect(configuration == LockerConfiguration(address: host, connectTimeout: .seconds(7)))
    }
    for name in operation {
      let configuration = try LockerConfiguration(url: "redis://h?\(name)=7s")
      #expect(configuration == LockerConfiguration(address: host, operationTimeout: .seconds(7)))
    }
    for names in [connect, operation] {
      for first in names {
        for second in names {
          let error = #expect(throws: LockError.self) {
            try LockerConfiguration(url: "redis://h?\(first)=1s&\(second)=1s")
          }
          #expect(error?.code == .invalidURL)
          #expect(error?.message.contains("query parameter \(second) ") == true)
        }
      }
    }
  }

  @Test("A URL of arbitrary pieces gives a valid configuration, or an error")
  func arbitraryPieces() {
    let pieces = [
      "redis", "rediss", "unix", "redis+unix", "valkey", "://", ":", "/", "//", "?", "#", "@", "[",
      "]", "%", "%4", "%41", "%00", "%25", "%ff", "&", "=", "::1", "host", "6379", "99999", "0",
      "db", "timeout", "label", "1.5s", ".", "-1", " ", "\n", "\r\n", "é", "e\u{301}", "🔒", "\0",
      "\u{85}", "\u{feff}",
    ]
    var random = SplitMix(seed: 60)
    var valid = 0
    for round in 0..<20_000 {
      var url = round.isMultiple(of: 2) ? "redis://" : ""
      for _ in 0..<Int.random(in: 0...8, using: &random) {
        url += pieces[Int.random(in: 0..<pieces.count, using: &random)]
      }
      do throws(LockError) {
        let configuration = try LockerConfiguration(url: url)
        valid += 1
        try configuration.validate()
      } catch {
        #expect(error.code == .invalidURL || error.code == .tlsUnavailable)
      }
    }
    #expect(valid > 100)
  }
}

extension String {
  fileprivate var bytes: [UInt8] { Array(utf8) }
}

extension Password {
  fileprivate var bytes: [UInt8] { Array(value.utf8) }
}
