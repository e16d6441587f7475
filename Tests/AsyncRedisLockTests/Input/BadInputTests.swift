import Testing

@testable import AsyncRedisLock

@Suite("Keys", .timeLimit(.minutes(2)))
struct LockKeysTests {
  @Test(
    "An empty list of keys and an empty key are refused",
    arguments: [[], [""], ["a", ""], ["", "", "b"]])
  func refused(_ keys: [String]) {
    let error = #expect(throws: LockError.self) { try LockKeys(keys) }
    #expect(error?.code == .invalidKey)
    #expect(error?.keys == keys)
    #expect(error?.isRetryable == false)
  }

  @Test("Keys of any bytes are used as they are", arguments: oddTexts)
  func anyBytes(_ sample: SampleText) throws {
    let key = sample.text
    let keys = try LockKeys([key])
    #expect(keys.names.map { Array($0.utf8) } == [Array(key.utf8)])
    let withOther = try LockKeys([key, "other"])
    #expect(withOther.names.contains { $0.utf8.elementsEqual(key.utf8) })
    #expect(withOther.names.count == 2)
  }

  @Test("Repeated keys are taken once, in the order of their bytes")
  func sorted() throws {
    #expect(try LockKeys(["b", "a", "b", "a"]).names == ["a", "b"])
    #expect(try LockKeys(["a", "a"]).names == ["a"])
    #expect(try LockKeys(["aa", "a", "B", "a\0"]).names == ["B", "a", "a\0", "aa"])
    #expect(try LockKeys(["a", "b"]) == LockKeys(["b", "a", "a"]))
    // Swift sorts the decomposed é, and the full-width A after the emoji, differently from their bytes.
    #expect(try LockKeys(["é", "f", "e\u{301}"]).names.map(\.utf8.first) == [0x65, 0x66, 0xc3])
    #expect(try LockKeys(["🔒", "\u{ff21}"]).names == ["\u{ff21}", "🔒"])
  }

  @Test("Keys that only look the same are different keys")
  func canonicallyEquivalent() throws {
    let composed = "caf\u{e9}"
    let decomposed = "cafe\u{301}"
    try #require(composed == decomposed)
    let both = try LockKeys([composed, decomposed, composed])
    #expect(both.names.map { Array($0.utf8) } == [Array(decomposed.utf8), Array(composed.utf8)])
    #expect(try LockKeys([composed]) != LockKeys([decomposed]))
    #expect(
      try Set([LockKeys([composed]), LockKeys([decomposed]), LockKeys([composed])]).count == 2)
  }

  @Test("Keys that are longer than the server's longest string are refused")
  func tooLong() throws {
    let longest = String(repeating: "é", count: 512)
    // A repeated key counts once.
    #expect(try LockKeys([longest, longest], longest: 1024).names == [longest])
    for keys in [[longest + "a"], ["a", longest + "a"]] {
      let error = try #require(throws: LockError.self) { try LockKeys(keys, longest: 1024) }
      #expect(error.code == .invalidKey)
      #expect(error.keys == keys)
      #expect(error.message.contains("at most 1024 bytes"))
      #expect(error.description.utf8.count < 1000)
    }
    let error = #expect(throws: LockError.self) { try LockKeys([longest, "a"], longest: 1024) }
    #expect(error?.message.contains("at most 1024 bytes long together, not 1025") == true)
  }

  @Test("So many keys that a place for each with all of them would block the server are refused")
  func tooMany() throws {
    // 4 bytes each, so 2,048 of them make places of 16 MiB.
    let keys = (1000..<3049).map { "\($0)" }
    #expect(try LockKeys(Array(keys.dropLast())).names.count == 2048)
    let error = #expect(throws: LockError.self) { try LockKeys(keys) }
    #expect(error?.code == .invalidKey)
    #expect(
      error?.message.contains(
        "(2049) times their length together (8196 bytes) must be at most 16777216")
        == true)
  }
}

/// Text that a test runner can name, whatever it contains.
struct SampleText: Sendable, ExpressibleByStringLiteral, CustomTestStringConvertible {
  let text: String

  init(_ text: String) { self.text = text }

  init(stringLiteral text: String) { self.text = text }

  var testDescription: String { text.abbreviatedForMessage }
}

private let oddTexts: [SampleText] = [
  " ", "a b", "\0", "a\0b", "\n", "a\r\nb", "%s%n", "é", "e\u{301}", "锁🔒", "{tag}:a", "\u{feff}",
  SampleText(String(repeating: "k", count: LockKeys.longest / 2)),
  SampleText(String(repeating: "é", count: LockKeys.longest / 4)),
]

@Suite("Options", .timeLimit(.minutes(2)))
struct BadOptionsTests {
  @Test(
    "Lock options within their ranges are accepted",
    arguments: [
      LockOptions(),
      LockOptions(timeout: nil),
      LockOptions(extend: nil),
      LockOptions(ttl: .milliseconds(10)),
      LockOptions(ttl: .seconds(1)),
      LockOptions(retry: .milliseconds(1), timeout: .milliseconds(1)),
      LockOptions(ttl: .milliseconds(10), extend: .milliseconds(1)),
      LockOptions(ttl: .seconds(315_360_000)),
      LockOptions(retry: .seconds(315_360_000), timeout: .seconds(315_360_000)),
      LockOptions(ttl: .seconds(1), extend: .seconds(1) - .milliseconds(1)),
    ])
  func accepted(_ options: LockOptions) {
    #expect(throws: Never.self) { try options.validate() }
  }

  @Test(
    "Without an interval of its own, a lock is extended every third of any ttl",
    arguments: [
      Duration.milliseconds(10), .seconds(1), .seconds(30), .seconds(315_360_000),
    ])
  func byThirds(_ ttl: Duration) {
    let options = LockOptions(ttl: ttl)
    #expect(options.extend == ttl / 3)
    #expect(throws: Never.self) { try options.validate() }
    var changed = LockOptions()
    changed.ttl = ttl
    #expect(changed == options)
  }

  @Test("An interval that is set does not follow the ttl, and nil means no extensions")
  func setInterval() {
    var options = LockOptions(extend: .milliseconds(500))
    options.ttl = .seconds(30)
    #expect(options.extend == .milliseconds(500))
    options.extend = nil
    #expect(options.extend == nil)
    #expect(LockOptions(extend: nil) != LockOptions())
  }

  @Test("Lock options out of their ranges are refused by name", arguments: badOptions)
  func refused(_ row: BadOptions) {
    let error = #expect(throws: LockError.self) { try row.options.validate() }
    #expect(error?.code == .invalidOptions)
    #expect(error?.message.hasPrefix("\(row.name) (") == true)
    #expect(error?.isRetryable == false)
  }
}

/// Options with one invalid value, and the name of that option.
struct BadOptions: Sendable {
  let name: String
  let options: LockOptions
}

private let badOptions: [BadOptions] =
  badDurations.flatMap { duration in
    [
      BadOptions(name: "retry", options: LockOptions(retry: duration)),
      BadOptions(name: "timeout", options: LockOptions(timeout: duration)),
      BadOptions(name: "ttl", options: LockOptions(ttl: duration, extend: nil)),
      BadOptions(
        name: "extend", options: LockOptions(ttl: .seconds(315_360_000), extend: duration)),
    ]
  } + [
    BadOptions(name: "ttl", options: LockOptions(ttl: .milliseconds(9), extend: .milliseconds(1))),
    BadOptions(name: "extend", options: LockOptions(ttl: .seconds(1), extend: .seconds(1))),
    BadOptions(name: "extend", options: LockOptions(ttl: .seconds(1), extend: .seconds(2))),
    BadOptions(
      name: "extend", options: LockOptions(ttl: .seconds(1), extend: .seconds(315_360_000))),
  ]

private let badDurations: [Duration] = [
  .zero, .nanoseconds(1), .microseconds(999), .milliseconds(-1), .seconds(-5),
  .seconds(315_360_000) + .nanoseconds(1), .milliseconds(Int64.max), .seconds(Int64.max),
  .seconds(Int64.min),
  // Their seconds do not fit into 64 bits.
  .seconds(Int64.max) * 9, .seconds(Int64.min) * 9,
]

@Suite("A configuration", .timeLimit(.minutes(2)))
struct BadConfigurationTests {
  @Test(
    "A configuration within the rules is accepted",
    arguments: [
      LockerConfiguration(),
      .init(address: .tcp(host: "::1", port: 1)),
      .init(address: .tcp(host: "fe80::1%en0.1")),
      .init(address: .unixSocket(path: "/" + String(repeating: "é", count: 51))),
      .init(username: "u", password: "p"),
      .init(password: " \n:@/é"),
      .init(database: Int(Int32.max)),
      .init(clientName: ""),
      .init(clientName: "!web-1/a:b@c~"),
      .init(connectTimeout: .milliseconds(1), operationTimeout: .milliseconds(1)),
      .init(connectTimeout: .seconds(315_360_000), operationTimeout: .seconds(315_360_000)),
      .init(keyPrefix: String(repeating: "k", count: 128)),
      .init(keyPrefix: " \n"),
      .init(label: ""),
      .init(label: String(repeating: "é", count: 32)),
      .init(replicaAcknowledgements: 100),
      .init(maxWaiters: 1, localHandoffLimit: 0),
      .init(maxWaiters: Int(Int32.max), localHandoffLimit: 1000),
    ])
  func accepted(_ configuration: LockerConfiguration) {
    #expect(throws: Never.self) { try configuration.validate() }
  }

  @Test("A configuration that breaks a rule is refused by name", arguments: badConfigurations)
  func refused(_ row: BadConfiguration) {
    let error = #expect(throws: LockError.self) { try row.configuration.validate() }
    #expect(error?.code == row.code)
    #expect(error?.message.contains(row.word) == true)
    #expect(error?.isRetryable == false)
  }
}

/// An invalid configuration, with the code and a word of the message.
struct BadConfiguration: Sendable {
  let configuration: LockerConfiguration
  let word: String
  let code: LockError.Code

  init(
    _ configuration: LockerConfiguration, _ word: String, _ code: LockError.Code = .invalidOptions
  ) {
    self.configuration = configuration
    self.word = word
    self.code = code
  }
}

private let badConfigurations: [BadConfiguration] =
  [
    "h:6379", "[::1]", "[::1]:6379", "redis://h", "u:p@h", "a b", "a/b", "a?", "a#", "h\0", "h\n",
    "é", "::g", "::1%", "::1%a%b", "%eth0", ":", "h::", "a\\b",
  ].map { BadConfiguration(.init(address: .tcp(host: $0)), "host") }
  + [
    "", "/", "s", "./s", "~/s", "/a\0b", "unix:///s", "/" + String(repeating: "é", count: 52),
    "/" + String(repeating: "p", count: 103),
  ].map { BadConfiguration(.init(address: .unixSocket(path: $0)), "path of the socket") }
  + ["a b", "a\n", "\0", "\u{7f}", "é", "\u{85}", " "].map {
    BadConfiguration(.init(clientName: $0), "clientName")
  }
  + [
    "", "a\0", "{a}:", "a}", String(repeating: "k", count: 129), String(repeating: "é", count: 65),
  ].map {
    BadConfiguration(.init(keyPrefix: $0), "keyPrefix")
  }
  + ["a\n", "\0", "\u{7f}", "\u{85}", String(repeating: "é", count: 33)].map {
    BadConfiguration(.init(label: $0), "label")
  }
  + [-1, Int(Int32.max) + 1, .max, .min].map { BadConfiguration(.init(database: $0), "database") }
  + [0, -1, .min, .max].map {
    BadConfiguration(.init(maxWaiters: $0), "maxWaiters")
  }
  + [-1, 101, .min, .max].map {
    BadConfiguration(.init(replicaAcknowledgements: $0), "replicaAcknowledgements")
  }
  + [-1, 1001, .max].map {
    BadConfiguration(.init(localHandoffLimit: $0), "localHandoffLimit")
  }
  + badDurations.flatMap {
    [
      BadConfiguration(.init(connectTimeout: $0), "connectTimeout"),
      BadConfiguration(.init(operationTimeout: $0), "operationTimeout"),
    ]
  }
  + [
    BadConfiguration(.init(address: .tcp(host: "")), "host is missing"),
    BadConfiguration(.init(address: .tcp(host: "h", port: 0)), "port"),
    BadConfiguration(.init(username: "u"), "user needs a password"),
    BadConfiguration(.init(username: "", password: "p"), "user"),
    BadConfiguration(.init(username: "u\0", password: "p"), "user"),
    BadConfiguration(.init(password: ""), "password"),
    BadConfiguration(.init(password: "p\0"), "password"),
  ]
  + [
    BadConfiguration(.init(lockOptions: .init(ttl: .zero)), "ttl")
  ]
