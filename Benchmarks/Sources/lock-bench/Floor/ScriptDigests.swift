/// The names under which the server knows the scripts of a contestant.
struct ScriptDigests {
  let acquire: String
  let extend: String
  let release: String

  /// Loads the scripts of the floor.
  static func floor(_ connection: HiredisConnection) throws -> ScriptDigests {
    ScriptDigests(
      acquire: "", extend: try connection.load(FloorScripts.extend),
      release: try connection.load(FloorScripts.release))
  }

  /// Loads the scripts of the crate.
  static func crate(_ connection: HiredisConnection) throws -> ScriptDigests {
    ScriptDigests(
      acquire: try connection.load(CrateScripts.acquire),
      extend: try connection.load(CrateScripts.extend),
      release: try connection.load(CrateScripts.release))
  }
}
