/// How a ``Locker`` reaches its server, and what it stores there.
///
/// ``init(url:)`` creates one from a URL. Creating a locker checks the values.
public struct LockerConfiguration: Sendable, Hashable {
  /// Where the server listens; `127.0.0.1:6379` by default.
  public var address: Address
  /// The ACL user to log in as, or `nil` for the server's default user; `nil` by default.
  ///
  /// A user needs a ``password``.
  public var username: String?
  /// The password to log in with, or `nil` not to log in; `nil` by default.
  public var password: Password?
  /// The ACL user to log in as on the sentinels, or `nil` for their default user; `nil` by default.
  ///
  /// A user needs a ``sentinelPassword``.
  public var sentinelUsername: String?
  /// The password to log in with on the sentinels, or `nil` not to log in; `nil` by default.
  ///
  /// Sentinels have a user and a password of their own. ``username`` and ``password`` are never sent to them.
  public var sentinelPassword: Password?
  /// What provides the user and the password of each connection, or `nil` for ``username`` and ``password``; `nil` by
  /// default.
  ///
  /// Excludes both of them.
  public var credentials: Credentials?
  /// How connections are encrypted, or `nil` for plain ones; `nil` by default.
  public var tls: TLS?
  /// The number of the database that holds the locks; 0 by default.
  public var database: Int
  /// The name that `CLIENT LIST` shows for the connection; `async-redis-lock` by default.
  ///
  /// ASCII without spaces, as the server demands.
  public var clientName: String
  /// How long a connection may take to become ready for commands; 1 s by default.
  ///
  /// From 1 ms to 10 years.
  public var connectTimeout: Duration
  /// How long the server may take to answer a command; 1 s by default.
  ///
  /// From 1 ms to 10 years. For commands of a lock, the smaller of this and the lock's ttl applies.
  public var operationTimeout: Duration
  /// The prefix of the names of this library's own keys and channels; `redis-lock:` by default.
  ///
  /// From 1 to 128 bytes, without braces. All clients of a lock have to use the same prefix. Lock keys are used unchanged, and
  /// must not begin with it.
  public var keyPrefix: String
  /// Whether every lock draws a fencing token; `true` by default.
  ///
  /// If false, ``Lock/fencingToken`` is `nil`, and taking a lock costs the server less.
  public var isFencingEnabled: Bool
  /// How many replicas have to confirm each lock before a call returns it, and each of its extensions; 0 by default.
  ///
  /// From 0 to 100. The lock is then safe in a failover, provided that the promoted server is among those that have
  /// confirmed it: set the number of all replicas that may be promoted. If fewer confirm it within
  /// ``operationTimeout``, the lock is given back, and the call goes on trying or throws ``LockError/Code/refused``
  /// with the server code `NOREPLICAS`. An extension without confirmation does not count. See <doc:Operations>.
  ///
  /// Has no effect on lockers in memory.
  public var replicaAcknowledgements: Int
  /// How many tasks may wait for the same keys in this locker, or `nil` for any number; `nil` by default.
  ///
  /// At least 1. If one more task calls, ``LockError/Code/tooManyWaiters`` is thrown at once.
  public var maxWaiters: Int?
  /// How many times in a row a lock may pass from task to task within this locker; 15 by default, 0 for never.
  ///
  /// Such a lock passes without the server, ahead of other lockers' waiters.
  ///
  /// At most 1000. Handing on in the process takes microseconds, and an occasional trip to the server costs
  /// little. Other lockers wait longer by at most this number times the time that a task holds the lock.
  ///
  /// A lock passes on only if the server has confirmed it within the last 50 ms plus a round trip. Tasks that a
  /// lock passes between share its ``Lock/token``; if this is 0, each lock has its own token.
  public var localHandoffLimit: Int
  /// A label stored with each lock and shown when the lock is inspected; `nil` by default.
  ///
  /// At most 64 bytes, without control characters.
  public var label: String?
  /// The options of every lock whose call passes none; the defaults of ``LockOptions`` by default.
  public var lockOptions: LockOptions

  /// Creates a configuration; each argument defaults to the default of the property with its name.
  public init(
    address: Address = .tcp(host: "127.0.0.1"),
    username: String? = nil,
    password: Password? = nil,
    sentinelUsername: String? = nil,
    sentinelPassword: Password? = nil,
    credentials: Credentials? = nil,
    tls: TLS? = nil,
    database: Int = 0,
    clientName: String = "async-redis-lock",
    connectTimeout: Duration = .seconds(1),
    operationTimeout: Duration = .seconds(1),
    keyPrefix: String = "redis-lock:",
    isFencingEnabled: Bool = true,
    replicaAcknowledgements: Int = 0,
    maxWaiters: Int? = nil,
    localHandoffLimit: Int = 15,
    label: String? = nil,
    lockOptions: LockOptions = .init()
  ) {
    self.address = address
    self.username = username
    self.password = password
    self.sentinelUsername = sentinelUsername
    self.sentinelPassword = sentinelPassword
    self.credentials = credentials
    self.tls = tls
    self.database = database
    self.clientName = clientName
    self.connectTimeout = connectTimeout
    self.operationTimeout = operationTimeout
    self.keyPrefix = keyPrefix
    self.isFencingEnabled = isFencingEnabled
    self.replicaAcknowledgements = replicaAcknowledgements
    self.maxWaiters = maxWaiters
    self.localHandoffLimit = localHandoffLimit
    self.label = label
    self.lockOptions = lockOptions
  }
}

extension LockerConfiguration {
  /// Where a server listens; further kinds may be added in a minor version.
  public struct Address: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
      case tcp(host: String, port: UInt16)
      case unixSocket(path: String)
      case sentinels([Sentinel], primary: String)
      case cluster([Node])
    }

    /// Where a sentinel listens.
    public struct Sentinel: Sendable, Hashable, CustomStringConvertible {
      /// A name, an IPv4 address, or an IPv6 address without brackets.
      public let host: String
      /// The TCP port; 26379 by default.
      public let port: UInt16

      /// Creates the address of a sentinel.
      public init(host: String, port: UInt16 = 26379) {
        self.host = host
        self.port = port
      }

      /// The address in its usual notation: `host:port` or `[::1]:26379`.
      public var description: String { "\(address)" }

      /// The same as the address of a server.
      var address: LockerConfiguration.Address { .tcp(host: host, port: port) }
    }

    /// Where a node of a cluster listens.
    public struct Node: Sendable, Hashable, CustomStringConvertible {
      /// A name, an IPv4 address, or an IPv6 address without brackets.
      public let host: String
      /// The TCP port; 6379 by default.
      public let port: UInt16

      /// Creates the address of a node.
      public init(host: String, port: UInt16 = 6379) {
        self.host = host
        self.port = port
      }

      /// The address in its usual notation: `host:port` or `[::1]:6379`.
      public var description: String { "\(address)" }

      /// The same as the address of a server.
      var address: LockerConfiguration.Address { .tcp(host: host, port: port) }
    }

    package let kind: Kind

    /// A TCP port; `host` is a name, an IPv4 address, or an IPv6 address without brackets.
    public static func tcp(host: String, port: UInt16 = 6379) -> Self {
      Self(kind: .tcp(host: host, port: port))
    }

    /// A Unix-domain socket at an absolute path in the file system, of at most 103 bytes.
    public static func unixSocket(path: String) -> Self { Self(kind: .unixSocket(path: path)) }

    /// Sentinels that tell where the primary with a name is; all connections of a locker lead to that server.
    ///
    /// From 1 to 100 different sentinels. The name is the one from `sentinel monitor` in their configuration. A
    /// replica is never used. With ``LockerConfiguration/tls``, the connections to the sentinels are encrypted, too.
    public static func sentinels(_ sentinels: [Sentinel], primary: String) -> Self {
      Self(kind: .sentinels(sentinels, primary: primary))
    }

    /// Nodes of a cluster, which tell the others.
    ///
    /// From 1 to 100 different nodes; one that can be reached is enough. A locker also finds out by itself that a
    /// ``tcp(host:port:)`` address is a node of a cluster, but then that node has to be there at the beginning. Excludes
    /// ``LockerConfiguration/replicaAcknowledgements``. See <doc:Clusters>.
    public static func cluster(_ nodes: [Node]) -> Self { Self(kind: .cluster(nodes)) }

    /// The address in its usual notation: `host:port`, `[::1]:6379`, the path of a socket, `s1:26379,s2:26379/name` for
    /// sentinels, or `n1:6379,n2:6379` for the nodes of a cluster.
    public var description: String {
      switch kind {
      case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
      case .unixSocket(let path): path
      case .sentinels(let sentinels, let primary):
        sentinels.map(\.description).joined(separator: ",") + "/\(primary)"
      case .cluster(let nodes): nodes.map(\.description).joined(separator: ",")
      }
    }
  }
}
