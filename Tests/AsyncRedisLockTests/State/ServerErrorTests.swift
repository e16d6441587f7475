import Testing

@testable import AsyncRedisLock

@Suite("An error of the server", .timeLimit(.minutes(2)))
struct ServerErrorTests {
  @Test(
    "An error of the server is recognized by its code, even within a script's error",
    arguments: [
      ("LOADING Redis is loading the dataset in memory", "LOADING", ServerError.Remedy.retry),
      ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", "BUSY", .retry),
      ("BUSY Valkey is busy running a script", "BUSY", .retry),
      ("READONLY You can't write against a read only replica.", "READONLY", .reconnect),
      (
        "ERR Error running script (call to f_x): @user_script:1: -READONLY You can't write",
        "READONLY", .reconnect
      ),
      ("MASTERDOWN Link with MASTER is down", "MASTERDOWN", .reconnect),
      ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS", .retry),
      ("CLUSTERDOWN Hash slot not served", "CLUSTERDOWN", .retry),
      ("TRYAGAIN Multiple keys request during rehashing", "TRYAGAIN", .retry),
      ("ERR max number of clients reached", "MAXCLIENTS", .reconnect),
      ("OOM command not allowed when used memory > 'maxmemory'.", "OOM", .fail),
      ("MISCONF Redis is configured to save RDB snapshots", "MISCONF", .fail),
      ("NOAUTH Authentication required.", "NOAUTH", .reconnect),
      ("WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS", .fail),
      ("NOPERM this user has no permissions to run the 'set' command", "NOPERM", .fail),
      (
        "ERR The user executing the script can't run this command or subcommand script: x",
        "NOPERM", .fail
      ),
      ("ERR ACL failure in script: No permissions to access a key", "NOPERM", .fail),
      ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE", .fail),
      ("NOSCRIPT No matching script. Please use EVAL.", "NOSCRIPT", .retry),
      ("MOVED 3999 127.0.0.1:6381", "MOVED", .fail),
      ("ERR DB index is out of range", "ERR", .fail),
      ("ERR value is not an integer or out of range", "ERR", .fail),
      ("ERRONEOUS BUSYBODY", "ERRONEOUS", .fail),
      ("ERR a word like LOADINGS is not a code", "ERR", .fail),
      ("", "", .fail),
    ])
  func code(message: String, code: String, remedy: ServerError.Remedy) {
    let error = ServerError(message: message)
    #expect(error.code.rawValue == code)
    #expect(error.remedy == remedy)
  }
}
