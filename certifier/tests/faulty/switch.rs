//! Everything the model can get wrong, one at a time.

macro_rules! switches {
    ($($(#[doc = $wrong:literal])+ $switch:ident $(because $why:literal)?,)+) => {
        /// One wrong behaviour. Its documentation says what is wrong; `because`, why more than
        /// the checks that guard it must fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Switch { $($(#[doc = $wrong])+ $switch),+ }

        impl Switch {
            pub(crate) const ALL: &[Self] = &[$(Self::$switch),+];

            /// What is wrong, in a sentence.
            pub(crate) fn wrong(self) -> &'static str {
                match self { $(Self::$switch => concat!($($wrong),+).trim_ascii_start()),+ }
            }

            /// Whether it takes two namespaces to see all of it.
            pub(crate) fn is_about_namespaces(self) -> bool {
                format!("{self:?}").contains("Namespace")
            }

            /// Why a wide failure is the right one.
            pub(crate) fn why(self) -> Option<&'static str> {
                match self { $(Self::$switch => None$(.or(Some($why)))?),+ }
            }
        }
    };
}

switches! {
    /// `GET /healthz` answers 503.
    Unhealthy,
    /// The provider's commit is empty.
    ShaEmpty,
    /// The gateway says nothing of its own version.
    NoGatewayVersion,
    /// The list of namespaces is empty.
    NoNamespaces,
    /// The list of namespaces holds one twice.
    NamespaceTwice,
    /// The list of functions is that of all namespaces.
    NamespaceIgnored,

    /// A deployment is answered with 201.
    DeployIs201,
    /// Labels that are null are refused.
    NullRefused because "the suite's readers of secrets are deployed with null, as the original's are",
    /// Status and list leave the namespace out.
    NamespaceNotSaid,
    /// The list of functions is always empty.
    NotListed,
    /// Every function is listed twice.
    ListedTwice,
    /// No replica ever becomes available.
    NeverAvailable because "what is scaled to zero has to be up first",
    /// A function is available before it can answer its first call.
    AvailableTooSoon,
    /// The status of an unknown function is 200 with a stub.
    StatusOfUnknown because "nothing can be told to be gone",

    /// A label `true` comes back as `True`.
    LabelsRewritten,
    /// A function without labels has none in its status.
    LabelsMissing,
    /// The label `faas_function` is missing.
    NoFunctionLabel,
    /// Tabs, newlines and repeated blanks in annotations become one blank.
    AnnotationsTrimmed,
    /// Annotations are null when there are none.
    AnnotationsNull,
    /// The registry is cut off the image.
    ImageShortened,
    /// `envProcess` comes back as what the platform makes of it.
    ProcessSplit,
    /// A memory limit comes back in bytes.
    MemoryInBytes,
    /// The CPU limit is lost.
    CpuDropped,
    /// A function without variables has an empty object of them.
    EnvInvented,
    /// A constraint is added.
    ConstraintInvented,
    /// Every root filesystem is read-only.
    RootReadOnly,

    /// PUT of an unknown function deploys it.
    UpdateCreates,
    /// An update is answered with 201.
    UpdateIs201,
    /// An update changes nothing.
    UpdateIgnored because "every effect of an update is a check of its own",
    /// A deletion is answered with 204.
    DeleteIs204,
    /// The deletion of a function changes nothing.
    DeleteIgnored because "every way to ask for a deletion is tried",

    /// Every call reaches the function as a GET.
    EveryCallIsGet because "calls of other methods lose more than their method",
    /// Every call reaches the function as a POST.
    EveryCallIsPost,
    /// The values of variables are lost on the way to the process.
    EnvValueLost,
    /// The query is dropped.
    QueryDropped,
    /// The body is dropped.
    BodyDropped because "a function that gets no body can neither echo nor digest it",
    /// A body goes through text, which bytes that are not UTF-8 do not survive.
    BodyAsText,
    /// The answer carries no `X-Call-Id`.
    NoCallId,
    /// `X-Start-Time` is in seconds.
    StartTimeInSeconds,
    /// A call of an unknown function answers 503 through the gateway.
    UnknownIs503 because "no unknown name is answered as it should be",
    /// A call of the empty name answers 500.
    EmptyNameIs500,
    /// The platform follows a function's redirect.
    RedirectFollowed,
    /// The platform rewrites a redirect's `Location`.
    LocationRewritten,

    /// Logs never end, though nobody follows.
    LogsNeverEnd because "no log can be read",
    /// Logs are plain text.
    LogsPlain because "no log can be read",
    /// Logs say the name of another function.
    LogsOfAnother,
    /// Lines of logs have an empty namespace.
    LogsWithoutNamespace,
    /// Lines of logs have no instance.
    LogsWithoutInstance,
    /// The start of a process is not logged.
    NoForkingLine,
    /// The logged length of an answer is 0.
    WrongLength,

    /// The label for the least replicas is ignored.
    MinimumIgnored,
    /// A scaling is answered with 204.
    ScaleIs204,
    /// Scaling to 0 means 1.
    ZeroClamped,
    /// A call does not bring a function back from zero.
    StaysAtZero,

    /// The creation of a secret is answered with 204.
    SecretCreateIs204,
    /// `rawValue` is not known.
    RawValueUnknown,
    /// Secrets lose the blanks around them.
    SecretTrimmed,
    /// Secrets are mounted in base64.
    SecretEncoded because "no secret can be read",
    /// The list of secrets is empty.
    SecretsNotListed,
    /// The list of secrets shows their content.
    SecretsDisclosed,
    /// PUT of a secret is answered with 405.
    SecretUpdateRefused,
    /// The update of a secret is answered with 201.
    SecretUpdateIs201,
    /// The update of a secret changes nothing.
    SecretUpdateIgnored,
    /// The deletion of a secret is answered with 204.
    SecretDeleteIs204,
    /// The deletion of a secret changes nothing.
    SecretDeleteIgnored,

    // Info, health, namespaces.
    /// The provider has no name.
    ProviderNameless,
    /// The orchestration is empty.
    OrchestrationEmpty,
    /// The provider's release is empty.
    ReleaseEmpty,
    /// `HEAD /healthz` is refused.
    HealthHeadRefused,
    /// `POST /healthz` answers 200.
    HealthPostTaken,
    /// The list of namespaces lacks the default one.
    DefaultNotListed,
    /// The list of namespaces holds objects, not names.
    NamespacesAsObjects,
    /// `GET /system/namespace/NAME` answers 501.
    NamespaceCrudMissing,
    /// A namespace that does not exist is described with 200.
    NamespaceOfUnknownGiven,
    /// The labels of a namespace are not given back.
    NamespaceLabelsLost,
    /// A namespace that exists can be created again.
    NamespaceTwiceCreated,
    /// A namespace is accepted, and not created.
    NamespaceNotCreated because "what is not there can be neither read nor changed",
    /// The creation of a namespace is answered with 204.
    NamespaceCreateIs204,
    /// The update of a namespace changes nothing.
    NamespaceUpdateIgnored,
    /// The deletion of a namespace changes nothing.
    NamespaceDeleteIgnored,
    /// A namespace with functions in it can be deleted.
    FilledNamespaceDeleted,
    /// The name in the body of a namespace need not be that of the path.
    NamespaceMismatchTaken,
    /// A namespace is created without being marked as one of functions.
    NamespaceMarkUnneeded,
    /// A namespace may have any name.
    NamespaceBadNameTaken,

    // Auth and routing.
    /// A refusal of credentials comes without `WWW-Authenticate`.
    NoChallenge because "every route is a check of its own",
    /// Missing credentials are answered with 403.
    StrangersGet403 because "every route is a check of its own",
    /// Any bearer token is let in.
    AnyTokenTaken,
    /// Any password of the right user is let in.
    AnyPasswordTaken,
    /// Whatever stands in `Authorization` is let in.
    AnyCredentialsTaken because "every route is a check of its own",
    /// The namespace routes want no credentials.
    NamespacesOpen,
    /// The logs want no credentials.
    LogsOpen,
    /// `/system/info` wants no credentials.
    InfoOpen,
    /// The status of a function wants no credentials.
    StatusOpen,
    /// Scaling wants no credentials.
    ScaleOpen,
    /// The secrets want no credentials.
    SecretsOpen,
    /// `/system/functions` wants no credentials.
    FunctionsOpen,
    /// The alert webhook wants no credentials.
    AlertOpen,
    /// A call of a function wants credentials.
    FunctionsWantCredentials because "no function can be called",
    /// `/healthz` wants credentials.
    HealthWantsCredentials,
    /// A path that does not exist answers 200.
    UnknownPathIs200,
    /// A wrong method is answered with 404.
    WrongMethodIs404,
    /// A refusal of a method comes without `Allow`.
    AllowMissing because "every refusal of a method is to name the others",
    /// A slash at the end of a system route is ignored.
    SystemSlashTaken,
    /// Refusals have no text.
    RefusalsWithoutText because "every refusal is asked for its reason",

    // Reading requests.
    /// A body that is not JSON is answered with 500.
    BadJsonIs500 because "every route that reads JSON is a check of its own",
    /// What follows a JSON object in a body is ignored.
    TrailingGarbageTaken,
    /// A key that the API does not know is refused.
    UnknownKeysRefused,
    /// The case of a key matters.
    KeyCaseMatters,
    /// A deployment is refused unless it says that it is JSON.
    ContentTypeWanted,
    /// A body of the system API may have any length.
    BodyLimitMissing,
    /// A namespace in the query of a change is ignored.
    NamespaceOfQueryIgnored because "requests are about another namespace than they say",
    /// A namespace in the body of a deletion or a scaling is ignored.
    NamespaceOfBodyIgnored,
    /// Two namespaces in one request are no contradiction.
    NamespaceConflictTaken,

    // Deploy.
    /// A field of the wrong type is ignored.
    WrongTypesTaken,
    /// A function may have any name.
    BadNamesTaken,
    /// A name may have 64 characters.
    LongNameTaken,
    /// A name of 63 characters is refused.
    LongestNameRefused,
    /// A deployment without an image is accepted.
    ImageMissingTaken,
    /// A deployment into a malformed namespace is accepted.
    BadNamespaceTaken,
    /// A deployment into a namespace that does not exist is accepted.
    UnknownNamespaceTaken,
    /// POST of a function that exists replaces it.
    ExistingOverwritten,
    /// POST of a function that exists answers 500.
    ExistingIs500,
    /// Of several deployments of one name at a time, all are accepted.
    RaceOverwrites,
    /// Of many deployments at a time, some are accepted and lost.
    CrowdLost,
    /// The status of a function that is deployed is 404.
    StatusMissing because "what cannot be seen cannot be checked",
    /// A deployment may name a secret that does not exist.
    SecretMissingTaken,
    /// A deployment may name a secret twice.
    SecretTwiceTaken,
    /// A deployment may name a secret by a path.
    SecretTraversalTaken,
    /// A limit that is no quantity is accepted.
    BadQuantityTaken,
    /// A limit may be lower than the request.
    LimitsUnderRequestsTaken,
    /// A constraint may be any text.
    BadConstraintTaken,
    /// A constraint that nothing satisfies is ignored.
    ConstraintsIgnored,
    /// A function of an image that does not exist has a replica.
    MissingImageAvailable,
    /// The labels of scaling may be any text.
    ScaleLabelsTaken,
    /// A deployment may set the platform's own labels.
    OwnLabelsTaken,
    /// A function without `envProcess` has one in its status.
    ProcessInvented,

    // Update.
    /// PUT of an unknown function answers 500.
    UpdateOfUnknownIs500,
    /// An update keeps entries that it does not name.
    UpdateMerges,
    /// An update cannot take all variables away.
    EnvNeverEmptied,
    /// An update may name a secret that does not exist.
    UpdateSecretMissingTaken,
    /// An update may have a limit that is no quantity.
    UpdateQuantityTaken,
    /// An update sets the replicas back.
    UpdateResetsReplicas,
    /// An update does not raise the replicas to a new minimum.
    UpdateMinimumIgnored,
    /// An update does not change whether the root is read-only.
    UpdateReadOnlyIgnored,
    /// An update changes the time of creation.
    UpdateMovesCreation,
    /// Calls fail right after an update.
    UpdateDropsCalls,
    /// An update to an image that does not exist takes the running version away.
    UpdateReplacesBlindly,
    /// Of two updates at a time, one is refused.
    RaceUpdatesRefused,

    // Delete.
    /// The deletion of an unknown function answers 200.
    DeleteOfUnknownTaken,
    /// A deletion that names no function is accepted.
    DeleteOfNothingTaken,
    /// A deleted function is listed a moment longer.
    DeletedStillListed,
    /// A name cannot be used again right after its deletion.
    RedeployRefused,
    /// Of several deletions of one function at a time, all are accepted.
    RaceDeletesTaken,

    // Read.
    /// A list without functions is null.
    EmptyListIsNull,
    /// The order of the list changes.
    ListUnsorted,
    /// List and status say that they are plain text.
    ViewsAsText,
    /// The list says 0 available replicas.
    AvailableNotListed,
    /// A status that is asked for with `usage=false` is refused.
    UsageRefused,
    /// Letters beyond ASCII are lost from annotations.
    AnnotationsAscii,
    /// Annotations are cut after 1024 characters.
    AnnotationsCut,
    /// Annotations with an empty value are lost.
    AnnotationsEmptyLost,
    /// Labels are cut after 63 characters.
    LabelsCut,
    /// Labels with an empty value are lost.
    LabelsEmptyLost,
    /// Status and list leave the variables out.
    EnvNotShown,
    /// A variable is shown up to its first `=`.
    EnvCutAtEquals,
    /// A variable is shown up to its first newline.
    EnvCutAtNewline,
    /// A variable with an empty value is not shown.
    EnvEmptyLost,
    /// Quantities come back in another spelling.
    QuantitiesCanonical,
    /// An image without a tag comes back with `:latest`.
    ImageTagged,
    /// The digest of an image is lost.
    DigestLost,
    /// `envProcess` comes back up to its first `=`.
    ProcessCutAtEquals,
    /// Constraints come back in another order.
    ConstraintsSorted,
    /// Secrets come back in another order.
    SecretsSorted,
    /// A read-only root is not shown.
    ReadOnlyNotShown,
    /// There is no `createdAt`.
    CreatedMissing,
    /// `createdAt` is a number.
    CreatedInSeconds,
    /// `createdAt` is always now.
    CreatedNow,
    /// A function at zero has no `replicas`.
    ZeroOmitted,

    // Scale.
    /// The scaling of an unknown function answers 202.
    ScaleOfUnknownTaken,
    /// Replicas may be negative, a fraction or a text.
    BadReplicasTaken,
    /// A scaling to zero is answered with 204.
    ScaleToZeroIs204,
    /// No function gets more than one replica.
    ScaleClamped because "no function gets the replicas that it was asked to have",
    /// A scaling gives one replica too many.
    ReplicasOffByOne because "no function gets the replicas that it was asked to have",
    /// There is no limit to replicas.
    ReplicasUnbounded,
    /// The name in the body of a scaling need not be that of the path.
    ScaleMismatchTaken,
    /// A scaling without `serviceName` is refused.
    ServiceNameWanted,
    /// Of several scalings at a time, one is accepted.
    RaceScalesRefused,
    /// While a function comes back from zero, further calls are refused.
    ColdCallsRefused,
    /// A call of a function at zero, straight at the provider, answers 502.
    ZeroIs502,

    // Secrets.
    /// A secret that exists can be created again.
    SecretTwiceCreated,
    /// Of several creations of one secret at a time, all are accepted.
    RaceSecretsTaken,
    /// PUT of an unknown secret creates it.
    SecretUpdateCreates,
    /// The deletion of an unknown secret answers 200.
    SecretDeleteOfUnknownTaken,
    /// A secret that a function uses can be deleted.
    SecretInUseDeleted,
    /// A secret may have any name.
    SecretBadNamesTaken because "each kind of bad name is a check of its own",
    /// A secret ends at its first NUL.
    SecretCutAtNul,
    /// A secret gets a newline at its end.
    SecretWithNewline because "no secret is read as it was written",
    /// `value` wins over `rawValue`.
    ValueWins,
    /// A secret may have any length.
    LongSecretTaken,

    // Logs.
    /// The log of an unknown function is empty.
    LogsOfUnknownEmpty,
    /// The log of an unknown function answers 500.
    LogsOfUnknownIs500,
    /// Logs can be asked for without a name.
    LogsOfNobodyTaken,
    /// A `tail` that is no number is ignored.
    BadTailTaken,
    /// A `since` that is no time is ignored.
    BadSinceTaken,
    /// `tail` is ignored.
    TailIgnored,
    /// `tail=0` gives no line.
    TailZeroIsNone,
    /// `since` is ignored.
    SinceIgnored,
    /// `instance` is ignored.
    InstanceIgnored,
    /// Of a parameter that is given twice, the first counts.
    FirstParameterWins,
    /// A followed log ends at once.
    FollowIgnored,
    /// A followed log gives what is there, and nothing new.
    FollowSilent,
    /// A log says that it is plain text.
    LogsTyped,
    /// The times of a log are in seconds.
    LogTimesInSeconds,
    /// The times of a log are unset.
    LogTimesMissing,
    /// Lines of a log are cut after 4096 characters.
    LogLinesCut,

    // Calls.
    /// A call of an unknown function answers 200.
    UnknownIs200 because "no unknown name is answered as it should be",
    /// A name without a namespace is not found.
    BareNameUnknown,
    /// The namespace of a call does not matter.
    CallNamespaceIgnored,
    /// The beginning of a function's name calls it.
    PrefixMatches,
    /// A method that was made up is forwarded.
    AnyMethodTaken,
    /// HEAD is refused.
    HeadRefused,
    /// OPTIONS is refused.
    OptionsRefused,
    /// A process that fails answers 200.
    FailuresAre200,
    /// Failures of the platform come without `X-OpenFaaS-Internal`.
    FailuresUnsigned because "every failure of a call is to be marked",
    /// Failures of the platform have no text.
    CallFailuresWithoutText because "every failure of a call is to have a text",
    /// A body is cut after 64 KiB.
    BodyCut,
    /// The path after the function's name is lost.
    SubPathLost because "every path is lost",
    /// The path is decoded.
    PathDecoded,
    /// The path is made lower case.
    PathLowered,
    /// A double slash in the path becomes one.
    DoubleSlashCleaned,
    /// A double slash in the path is redirected.
    DoubleSlashRedirected,
    /// A slash at the end of the path is lost.
    TrailingSlashLost,
    /// The query is decoded.
    QueryDecoded,
    /// `%20` in the query becomes `+`.
    QueryPlusChanged,
    /// Of a parameter that is given twice, the first is forwarded.
    QueryRepeatsLost,
    /// Of a header that is sent twice, the first is forwarded.
    RepeatedHeadersLost,
    /// Hop-by-hop headers are forwarded.
    HopByHopPassed,
    /// Headers named in `Connection` are forwarded.
    NamedHeadersPassed,
    /// `Authorization` does not reach the function.
    AuthorizationStripped,
    /// `User-Agent` does not reach the function.
    UserAgentReplaced,
    /// The length of a body does not reach the function.
    LengthLost,
    /// `X-Forwarded-For` does not reach the function.
    ForwardedForMissing,
    /// `X-Forwarded-For` is replaced.
    ForwardedForReplaced,
    /// A caller's `X-Forwarded-For` is left as it is.
    ForwardedForKept,
    /// `X-Forwarded-For` names a port.
    ForwardedForWithPort,
    /// `X-Forwarded-Host` does not reach the function.
    ForwardedHostMissing,
    /// The answer carries another `X-Call-Id` than the caller's.
    CallIdReplaced,
    /// `X-Call-Id` does not reach the function.
    CallIdNotPassed,
    /// `X-Start-Time` does not reach the function.
    StartTimeNotPassed,
    /// The answer carries no `X-Start-Time`.
    NoStartTime,
    /// The platform adds a header for other origins.
    CorsAdded,
    /// Braces in variables are taken for a template.
    EnvTemplated,
    /// `envProcess` wins over the variable `fprocess`.
    ProcessVariableLost,

    // Async, alerts, metrics.
    /// An asynchronous call is answered with 200.
    AsyncIs200,
    /// An asynchronous call is accepted, and never made.
    AsyncLost because "what is never made has no result either",
    /// An asynchronous call is made twice.
    AsyncTwice,
    /// An asynchronous call is answered when it has been made.
    AsyncWaits,
    /// A callback URL that is none is accepted.
    BadCallbackTaken,
    /// No callback is ever posted.
    CallbackLost,
    /// A callback carries no `X-Call-Id`.
    CallbackWithoutId,
    /// A callback carries no `X-Function-Name`.
    CallbackWithoutName,
    /// A callback carries no `X-Function-Status`.
    CallbackWithoutStatus,
    /// A callback carries no `X-Duration-Seconds`.
    CallbackWithoutDuration,
    /// A callback carries no body.
    CallbackWithoutBody,
    /// An alert changes nothing.
    AlertIgnored,
    /// An alert that is resolved changes nothing.
    ResolvedIgnored,
    /// An alert scales past the maximum.
    AlertOverMaximum,
    /// An alert that is not JSON is accepted.
    BadAlertTaken,
    /// There are no metrics.
    MetricsMissing because "no metric can be read",
    /// Calls are not counted.
    CallsNotCounted,
    /// The metrics are JSON.
    MetricsAreJson because "no metric can be read",
    /// Calls are not counted when they begin.
    StartsNotCounted,
    /// How long calls took is not measured.
    SecondsMissing,
    /// Replicas are not measured.
    ReplicasNotMeasured,
    /// Requests of the provider are not counted.
    RequestsNotCounted,
    /// Metrics name functions without their namespace.
    MetricsWithoutNamespace,
    /// Metrics count every call as a 200.
    MetricsAlways200,
    /// Metrics of requests hold whole paths.
    MetricPathsUnbounded,

    // Calls of the probe.
    /// A function that breaks before its answer gives 500.
    BrokenIs500,
    /// A function that breaks before its answer gives 200 and nothing.
    BrokenIs200,
    /// A function that is too slow gives 502.
    SlowIs502,
    /// An answer that breaks off ends as if it were whole.
    TruncationHidden,
    /// Answers are collected before they are passed on.
    StreamBuffered,
    /// A wish to change the protocol is not passed on.
    UpgradeStripped,
    /// A function is not told that its caller has hung up.
    HangUpIgnored,
    /// The platform asks for gzip where the caller did not.
    GzipAskedFor,
    /// Answers in gzip are unpacked.
    GzipUnpacked,
    /// The length of an answer does not reach the caller.
    AnswerLengthLost,
    /// Trailers of an answer do not reach the caller.
    TrailersLost,
    /// Unusual statuses become 200.
    StatusesCollapsed,
    /// A function's own failures become 502.
    FunctionErrorsAre502,
    /// Several cookies become one header.
    CookiesFolded,
    /// An answer without a type gets one.
    TypeInvented,
    /// Headers of a function's own do not reach the caller.
    AnswerHeadersLost,
    /// One replica takes all calls.
    OneReplicaTakesAll,
    /// Secrets can be read by root only.
    SecretForRootOnly,
    /// Secrets can be written by the function.
    SecretWritable,
    /// A root that is to be read-only can be written.
    ReadOnlyIgnored,
    /// A function whose process has ended is not started again.
    CrashedStaysDown,
    /// Limits of memory are not enforced.
    MemoryUnlimited,
    /// With a read-only root, not even the temporary directory can be written.
    NothingWritable,
}
