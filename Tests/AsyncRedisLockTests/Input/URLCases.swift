import Testing

@testable import AsyncRedisLock

/// A URL and its meaning.
struct WellFormedURL: Sendable, CustomTestStringConvertible {
  let url: String
  let configuration: LockerConfiguration

  init(_ url: String, _ configuration: LockerConfiguration) {
    self.url = url
    self.configuration = configuration
  }

  var testDescription: String { url }
}

/// An invalid URL, with the code and a word of the message.
///
/// If the URL contains a password, it is `hunter2`.
struct MalformedURL: Sendable, CustomTestStringConvertible {
  let url: String
  let word: String
  let code: LockError.Code

  init(_ url: String, _ word: String, _ code: LockError.Code = .invalidURL) {
    self.url = url
    self.word = word
    self.code = code
  }

  var testDescription: String { "\(url.prefix(80).debugDescription): \(word)" }
}

private let host = LockerConfiguration.Address.tcp(host: "h")
private let socket = LockerConfiguration.Address.unixSocket(path: "/s")
private let longestPath = "/" + String(repeating: "p", count: 102)

let wellFormedURLs: [WellFormedURL] = [
  // Host and port.
  .init("redis://127.0.0.1", .init()),
  .init("redis://h", .init(address: host)),
  .init("redis://h:6379", .init(address: host)),
  .init("redis://h:1", .init(address: .tcp(host: "h", port: 1))),
  .init("redis://h:65535", .init(address: .tcp(host: "h", port: 65535))),
  .init("redis://h:06380", .init(address: .tcp(host: "h", port: 6380))),
  .init("redis://my-redis_1.example.com.", .init(address: .tcp(host: "my-redis_1.example.com."))),
  .init("redis://[::1]", .init(address: .tcp(host: "::1"))),
  .init("redis://[::1]:7000", .init(address: .tcp(host: "::1", port: 7000))),
  .init("redis://[2001:DB8::a]/3", .init(address: .tcp(host: "2001:DB8::a"), database: 3)),
  .init("redis://[::ffff:10.0.0.1]", .init(address: .tcp(host: "::ffff:10.0.0.1"))),
  .init("redis://[fe80::1%25eth0]:1", .init(address: .tcp(host: "fe80::1%eth0", port: 1))),
  .init("redis://[fe80::1%eth0]", .init(address: .tcp(host: "fe80::1%eth0"))),
  .init("redis://[fe80::1%2]", .init(address: .tcp(host: "fe80::1%2"))),
  .init(
    "redis://u:p@[::1]:2", .init(address: .tcp(host: "::1", port: 2), username: "u", password: "p")),
  // User and password.
  .init("redis://:p@h", .init(address: host, password: "p")),
  .init("redis://u:p@h", .init(address: host, username: "u", password: "p")),
  .init("redis://:p@ss@h", .init(address: host, password: "p@ss")),
  .init("redis://:@@h", .init(address: host, password: "@")),
  .init("redis://u:a:b:@h", .init(address: host, username: "u", password: "a:b:")),
  .init("redis://u%3A%40:p@h", .init(address: host, username: "u:@", password: "p")),
  .init(
    "redis://u:%40%3A%2F%3F%23%25%20%0A@h",
    .init(address: host, username: "u", password: "@:/?#% \n")),
  .init("redis://:%2541@h", .init(address: host, password: "%41")),
  .init("redis://:%252541@h", .init(address: host, password: "%2541")),
  .init("redis://:a+b@h", .init(address: host, password: "a+b")),
  .init("redis://:p%c3%A9@h", .init(address: host, password: "pé")),
  .init("redis://:pe\u{301}@h", .init(address: host, password: "pe\u{301}")),
  .init("redis://:[p]!$&'()*,;=@h", .init(address: host, password: "[p]!$&'()*,;=")),
  // The database.
  .init("redis://h/", .init(address: host)),
  .init("redis://h/0", .init(address: host)),
  .init("redis://h/15", .init(address: host, database: 15)),
  .init("redis://h/2147483647", .init(address: host, database: 2_147_483_647)),
  .init("redis://h/%31", .init(address: host, database: 1)),
  .init("redis://h?db=5", .init(address: host, database: 5)),
  .init("redis://h/?db=5", .init(address: host, database: 5)),
  .init("redis://h/007?", .init(address: host, database: 7)),
  // Sockets.
  .init("unix:///s", .init(address: socket)),
  .init("UNIX:///s?db=1", .init(address: socket, database: 1)),
  .init("redis+unix:///s", .init(address: socket)),
  .init("redis+unix://:p@/s", .init(address: socket, password: "p")),
  .init(
    "unix://u:p@ss@/s?db=2", .init(address: socket, username: "u", password: "p@ss", database: 2)),
  .init("unix:///a%20b%3F/r%25.sock", .init(address: .unixSocket(path: "/a b?/r%.sock"))),
  .init("unix:///run/redis@1.sock", .init(address: .unixSocket(path: "/run/redis@1.sock"))),
  .init("unix:///1/2:3", .init(address: .unixSocket(path: "/1/2:3"))),
  .init("unix://\(longestPath)", .init(address: .unixSocket(path: longestPath))),
  // The query.
  .init("redis://h?client_name=web-1", .init(address: host, clientName: "web-1")),
  .init("redis://h?client_name=", .init(address: host, clientName: "")),
  .init("redis://h?client_name=a%26b=c%2525", .init(address: host, clientName: "a&b=c%25")),
  .init(
    "redis://h?connect_timeout=500ms", .init(address: host, connectTimeout: .milliseconds(500))),
  .init("redis://h?timeout=1.5s", .init(address: host, operationTimeout: .milliseconds(1500))),
  .init("redis://h?timeout=0.5", .init(address: host, operationTimeout: .milliseconds(500))),
  .init("redis://h?timeout=2", .init(address: host, operationTimeout: .seconds(2))),
  .init("redis://h?timeout=1m", .init(address: host, operationTimeout: .seconds(60))),
  .init("redis://h?timeout=0.5h", .init(address: host, operationTimeout: .seconds(1800))),
  .init("redis://h?timeout=2d", .init(address: host, operationTimeout: .seconds(172_800))),
  .init("redis://h?timeout=0.5m", .init(address: host, operationTimeout: .seconds(30))),
  .init("redis://h?timeout=1.25ms", .init(address: host, operationTimeout: .microseconds(1250))),
  .init("redis://h?timeout=0.1", .init(address: host, operationTimeout: .milliseconds(100))),
  .init(
    "redis://h?timeout=0.3000000000000000444",
    .init(address: host, operationTimeout: .milliseconds(300))),
  .init("redis://h?timeout=0001s", .init(address: host)),
  .init(
    "redis://h?timeout=315360000", .init(address: host, operationTimeout: .seconds(315_360_000))),
  .init("redis://h?label=web%20caf%C3%A9+", .init(address: host, label: "web café+")),
  .init("redis://h?label=what?/", .init(address: host, label: "what?/")),
  .init("redis://h?fencing=false", .init(address: host, isFencingEnabled: false)),
  .init("redis://h?fencing=true", .init(address: host)),
  .init("redis://h?replica_acknowledgements=2", .init(address: host, replicaAcknowledgements: 2)),
  .init("redis://h?replica_acknowledgements=0", .init(address: host)),
  .init(
    "redis+sentinel://h/m?replica_acknowledgements=100",
    .init(
      address: .sentinels([.init(host: "h")], primary: "m"), replicaAcknowledgements: 100)),
  .init("redis://h?max_waiters=7", .init(address: host, maxWaiters: 7)),
  .init("redis://h?local_handoff_limit=0", .init(address: host, localHandoffLimit: 0)),
  .init(
    "valkey://u:p@h:7/8?client_name=c&connect_timeout=2s&read_timeout=3s&label=l&key_prefix=k"
      + "&fencing=false",
    .init(
      address: .tcp(host: "h", port: 7), username: "u", password: "p", database: 8,
      clientName: "c", connectTimeout: .seconds(2), operationTimeout: .seconds(3), keyPrefix: "k",
      isFencingEnabled: false, label: "l")),
]

let malformedURLs: [MalformedURL] = [
  // The scheme.
  .init("", "scheme"),
  .init("hunter2", "scheme"),
  .init("localhost:6379", "scheme"),
  .init(":hunter2@h", "scheme"),
  .init("redis", "scheme"),
  .init("redis:", "scheme"),
  .init("redis:h", "scheme"),
  .init("redis:/h", "scheme"),
  .init("://h", "scheme"),
  .init("//:hunter2@h", "scheme"),
  .init("user:hunter2://h", "scheme"),
  .init("user@hunter2://h", "scheme"),
  .init("\u{feff}redis://h", "scheme"),
  .init("http://:hunter2@h", "scheme (\"http\")"),
  .init("redis-sentinel://:hunter2@h", "scheme (\"redis-sentinel\")"),
  .init("rediss+unix:///s", "scheme"),
  // The URL as a whole.
  .init("redis://:hunter2@h ", "white space"),
  .init("redis://:hunter2@h\n", "white space"),
  .init(" redis://:hunter2@h", "scheme"),
  .init("redis://:hunt er2@h", "white space"),
  .init("redis://:hunter2\u{a0}@h", "white space"),
  .init("redis://:hunter2\u{7f}@h", "control character"),
  .init("redis://:hunter2@h\0", "control character"),
  .init("redis://h\r\n", "white space"),
  .init("redis://:hunter2#@h", "fragment (#)"),
  .init("redis://:hunter2@h#top", "%23"),
  .init("unix:///s#", "fragment"),
  .init("redis://:hunter2@h/" + String(repeating: "0", count: 8192), "at most 8192 bytes"),
  .init("redis://:" + String(repeating: "hunter2", count: 10_000) + "@h", "at most 8192 bytes"),
  .init("redis://:hun/ter2@h", "%2F"),
  .init("redis://:hun?ter2@h", "%3F"),
  .init("redis://user:12/hunter2@h", "%2F"),
  .init("redis://user:12?hunter2=x@h", "%3F"),
  .init("redis://h?client_name=a@b", "%40"),
  .init("unix://:hun/ter2@/s", "host"),
  .init("unix://u:hunter2@/s@t", "%40"),
  // User and password.
  .init("redis://user@h", "user needs a password"),
  .init("redis://hunter2@h", "user needs a password"),
  .init("redis://@h", "user"),
  .init("redis://:@h", "password"),
  .init("redis://user:@h", "password"),
  .init("unix://user@/s", "user needs a password"),
  .init("redis://us%er:hunter2@h", "user has a %"),
  .init("redis://%ff:hunter2@h", "user must be UTF-8"),
  .init("redis://us%00er:hunter2@h", "user has a NUL"),
  .init("redis://:hunter2%zz@h", "password has a %"),
  .init("redis://:hunter2%4@h", "password has a %"),
  .init("redis://:hunter2%@h", "password has a %"),
  .init("redis://:%hunter2@h", "password has a %"),
  .init("redis://:%+1hunter2@h", "password has a %"),
  .init("redis://:hunter2%ff@h", "password must be UTF-8"),
  .init("redis://:hunter2%c0%80@h", "password must be UTF-8"),
  .init("redis://:hunter2%ed%a0%80@h", "password must be UTF-8"),
  .init("redis://:hunter2%00@h", "password has a NUL"),
  // Host and port.
  .init("redis://", "host is missing"),
  .init("redis:///0", "host is missing"),
  .init("redis://?db=1", "host is missing"),
  .init("redis://:hunter2@", "host is missing"),
  .init("redis://:hunter2@/0", "host is missing"),
  .init("redis://:6379", "host is missing"),
  .init("redis://user:hunter2", "port"),
  .init("redis://user:hunter2/0", "port"),
  .init("redis://:hunter2", "port"),
  .init("redis://user:hun:ter2", "port"),
  .init("redis://user:hunter2%40h", "port"),
  .init("redis://h:", "port"),
  .init("redis://h:/0", "port"),
  .init("redis://h:0", "port"),
  .init("redis://h:65536", "port"),
  .init("redis://h:-1", "port"),
  .init("redis://h:+1", "port"),
  .init("redis://h:1e3", "port"),
  .init("redis://h:0x10", "port"),
  .init("redis://h:99999999999999999999", "port"),
  .init("redis://h:٣", "port"),
  .init("redis://:hunter2@h:x", "port"),
  .init("redis://::1", "port"),
  .init("redis://h:1:2", "port"),
  .init("redis://a,b", "host"),
  .init("redis://a;b", "host"),
  .init("redis://h%2e", "host"),
  .init("redis://:hun@ter2%zz", "host"),
  .init("redis://müller", "host"),
  .init("redis://h]", "host"),
  .init("redis://[::1", "host"),
  .init("redis://[]", "host"),
  .init("redis://[h]", "host"),
  .init("redis://[127.0.0.1]", "host"),
  .init("redis://[g::1]", "host"),
  .init("redis://[a:1]", "host"),
  .init("redis://[[::1]]", "host"),
  .init("redis://[fe80::1%25]", "host"),
  .init("redis://[fe80::1%]", "host"),
  .init("redis://[fe80::1%25e%30]", "host"),
  .init("redis://[::1]6379", "port"),
  .init("redis://[::1]:", "port"),
  // The database.
  .init("redis://h/x", "database"),
  .init("redis://:hunter2@h/x", "database"),
  .init("redis://user:12/hunter2", "database"),
  .init("redis://h/-1", "database"),
  .init("redis://h/+1", "database"),
  .init("redis://h/1/", "database"),
  .init("redis://h//1", "database"),
  .init("redis://h/1.0", "database"),
  .init("redis://h/2147483648", "database"),
  .init("redis://h/99999999999999999999", "database"),
  .init("redis://h/%zz", "database"),
  .init("redis://h/%00", "database"),
  .init("redis://h/%2531", "database"),
  .init("redis://:hunter2@h/0?db=0", "query parameter db"),
  .init("redis://h?db=1&db=1", "query parameter db"),
  .init("redis://h?db=", "query parameter db"),
  .init("redis://h?db=-1", "query parameter db (\"-1\")"),
  .init("redis://h?db=2147483648", "query parameter db"),
  .init("redis://h?db=1?db=2", "query parameter db"),
  // Sockets.
  .init("unix://", "path"),
  .init("unix:///", "path"),
  .init("unix://?db=1", "path"),
  .init("unix://:hunter2@", "path"),
  .init("unix://:hunter2@?db=1", "path"),
  .init("unix://s", "path"),
  .init("unix://h/s", "host"),
  .init("unix://:hunter2@h/s", "host"),
  .init("redis+unix://user:hunter2/s", "host"),
  .init("unix://\(longestPath)x", "103 bytes"),
  .init("unix:///a%00b", "path of the socket has a NUL"),
  .init("unix:///a%zz", "path has a %"),
  .init("unix:///%ff", "path must be UTF-8"),
  // The query.
  .init("redis://h?hunter2", "name=value"),
  .init("redis://h?db=1&", "name=value"),
  .init("redis://h?&db=1", "name=value"),
  .init("redis://h?db=1&&label=x", "name=value"),
  .init("redis://h?=1", "query parameter"),
  .init("redis://h?bogus=1", "query parameter bogus"),
  .init("redis://h?password=hunter2", "query parameter password"),
  .init("redis://h?DB=1", "unknown"),
  .init("redis://user:12?hunter2=", "unknown"),
  .init("redis://h?d%62=1", "unknown"),
  .init("redis://h?label=a&label=a", "query parameter label"),
  .init(
    "redis://h?replica_acknowledgements=101",
    "query parameter replica_acknowledgements (101) must be from 0 to 100"),
  .init("redis://h?replica_acknowledgements=-1", "must be in decimal digits"),
  .init("redis://h?replica_acknowledgements=", "must be in decimal digits"),
  .init("redis://h?replica_acknowledgements=all", "must be in decimal digits"),
  .init("redis://h?replica_acknowledgements=1&replica_acknowledgements=1", "a second time"),
  .init("redis://h?max_waiters=0", "query parameter max_waiters (0) must be from 1 to"),
  .init("redis://h?max_waiters=-1", "query parameter max_waiters (\"-1\") must be in decimal"),
  .init("redis://h?local_handoff_limit=1001", "query parameter local_handoff_limit (1001)"),
  .init("redis://h?local_handoff_limit=", "query parameter local_handoff_limit (\"\")"),
  .init("redis://h?label=%zz", "query parameter label has a %"),
  .init("redis://h?label=%ff", "query parameter label must be UTF-8"),
  .init("redis://h?label=a%00b", "query parameter label"),
  .init("redis://h?label=a%0Ab", "query parameter label"),
  .init("redis://h?label=" + String(repeating: "l", count: 65), "query parameter label"),
  .init("redis://h?client_name=a%20b", "query parameter client_name (\"a b\")"),
  .init("redis://h?client_name=a%00", "query parameter client_name"),
  .init("redis://h?client_name=%C3%A9", "query parameter client_name"),
  .init("redis://h?key_prefix=", "query parameter key_prefix"),
  .init("redis://h?key_prefix=a%00b", "query parameter key_prefix has a NUL"),
  .init("redis://h?key_prefix=%7Bapp%7D:", "query parameter key_prefix must not have a brace"),
  .init("redis://h?key_prefix=" + String(repeating: "k", count: 129), "query parameter key_prefix"),
  .init("redis://h?fencing=", "query parameter fencing"),
  .init("redis://h?fencing=1", "query parameter fencing (\"1\")"),
  .init("redis://h?fencing=TRUE", "query parameter fencing"),
  .init("redis://h?timeout=", "query parameter timeout"),
  .init("redis://h?timeout=0", "query parameter timeout"),
  .init("redis://h?timeout=-1", "query parameter timeout (\"-1\")"),
  .init("redis://h?timeout=+1", "query parameter timeout"),
  .init("redis://h?timeout=ms", "query parameter timeout"),
  .init("redis://h?timeout=.5", "query parameter timeout"),
  .init("redis://h?timeout=5.", "query parameter timeout"),
  .init("redis://h?timeout=1.2.3", "query parameter timeout"),
  .init("redis://h?timeout=1w", "query parameter timeout"),
  .init("redis://h?timeout=1S", "query parameter timeout"),
  .init("redis://h?timeout=1e3", "query parameter timeout"),
  .init("redis://h?timeout=nan", "query parameter timeout"),
  .init("redis://h?timeout=1%20s", "query parameter timeout"),
  .init("redis://h?timeout=0.999ms", "query parameter timeout"),
  .init("redis://h?timeout=315360001", "10 years"),
  .init("redis://h?timeout=999999999999m", "10 years"),
  .init("redis://h?dial_timeout=99999999999999999999999s", "query parameter dial_timeout"),
]
