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
    UpdateIgnored,
    /// A deletion is answered with 204.
    DeleteIs204,
    /// The deletion of a function changes nothing.
    DeleteIgnored,

    /// Every call reaches the function as a GET.
    EveryCallIsGet,
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
    UnknownIs503,
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
}
