"""The message types of generationConfig, tools and safety settings; see `types` for how to read."""

from gateway.simulator.strict.types import Field, enum, enums, many, mapping, one, prefixed

_RATIOS = (
    "ONE_BY_ONE TWO_BY_THREE THREE_BY_TWO THREE_BY_FOUR FOUR_BY_THREE FOUR_BY_FIVE FIVE_BY_FOUR"
    " NINE_BY_SIXTEEN SIXTEEN_BY_NINE TWENTY_ONE_BY_NINE ONE_BY_EIGHT EIGHT_BY_ONE ONE_BY_FOUR"
    " FOUR_BY_ONE"
)
_HARMS = (
    "UNSPECIFIED DEROGATORY TOXICITY VIOLENCE SEXUAL MEDICAL DANGEROUS HARASSMENT HATE_SPEECH"
    " SEXUALLY_EXPLICIT DANGEROUS_CONTENT CIVIC_INTEGRITY JAILBREAK"
)
_DELIVERY = enum("Delivery", "DELIVERY_UNSPECIFIED INLINE URI")

CONFIG: dict[str, dict[str, Field]] = {
    "GenerationConfig": {
        "temperature": one("float"),
        "topP": one("float"),
        "topK": one("int32"),
        "candidateCount": one("int32"),
        "maxOutputTokens": one("int32"),
        "stopSequences": many("string"),
        "seed": one("int32"),
        "presencePenalty": one("float"),
        "frequencyPenalty": one("float"),
        "responseLogprobs": one("bool"),
        "logprobs": one("int32"),
        "responseMimeType": one("string"),
        "responseSchema": one("Schema"),
        "responseJsonSchema": one("any"),
        "_responseJsonSchema": one("any"),
        "responseFormat": one("ResponseFormat"),
        "responseModalities": enums("Modality", "MODALITY_UNSPECIFIED TEXT IMAGE AUDIO VIDEO"),
        "speechConfig": one("SpeechConfig"),
        "thinkingConfig": one("ThinkingConfig"),
        "imageConfig": one("ImageConfig"),
        "mediaResolution": enum(
            "MediaResolution",
            "MEDIA_RESOLUTION_UNSPECIFIED MEDIA_RESOLUTION_LOW"
            " MEDIA_RESOLUTION_MEDIUM MEDIA_RESOLUTION_HIGH",
        ),
        "enableEnhancedCivicAnswers": one("bool"),
        "enableAffectiveDialog": one("bool"),
        "translationConfig": one("TranslationConfig"),
        "audioTranscriptionConfig": one("AudioTranscriptionConfig"),
    },
    "ResponseFormat": {
        "text": one("TextFormat"),
        "image": one("ImageFormat"),
        "audio": one("AudioFormat"),
    },
    "TextFormat": {
        "mimeType": enum("MimeType", "MIME_TYPE_UNSPECIFIED APPLICATION_JSON TEXT_PLAIN"),
        "schema": one("any"),
    },
    "ImageFormat": {
        "delivery": _DELIVERY,
        "mimeType": enum("MimeType", "MIME_TYPE_UNSPECIFIED IMAGE_JPEG"),
        "aspectRatio": enum("AspectRatio", prefixed("ASPECT_RATIO", _RATIOS)),
        "imageSize": enum(
            "ImageSize",
            prefixed("IMAGE_SIZE", "FIVE_TWELVE ONE_K TWO_K FOUR_K"),
        ),
    },
    "AudioFormat": {
        "delivery": _DELIVERY,
        "bitRate": one("int32"),
        "sampleRate": one("int32"),
        "mimeType": enum(
            "MimeType",
            "MIME_TYPE_UNSPECIFIED AUDIO_MP3 AUDIO_OGG_OPUS AUDIO_L16 AUDIO_WAV"
            " AUDIO_ALAW AUDIO_MULAW",
        ),
    },
    "SpeechConfig": {
        "voiceConfig": one("VoiceConfig"),
        "multiSpeakerVoiceConfig": one("MultiSpeakerVoiceConfig"),
        "languageCode": one("string"),
    },
    "VoiceConfig": {"prebuiltVoiceConfig": one("PrebuiltVoiceConfig")},
    "PrebuiltVoiceConfig": {"voiceName": one("string")},
    "MultiSpeakerVoiceConfig": {"speakerVoiceConfigs": many("SpeakerVoiceConfig")},
    "SpeakerVoiceConfig": {"speaker": one("string"), "voiceConfig": one("VoiceConfig")},
    "ThinkingConfig": {
        "includeThoughts": one("bool"),
        "thinkingBudget": one("int32"),
        "thinkingLevel": enum(
            "ThinkingLevel", "THINKING_LEVEL_UNSPECIFIED MINIMAL LOW MEDIUM HIGH"
        ),
    },
    "ImageConfig": {"aspectRatio": one("string"), "imageSize": one("string")},
    "TranslationConfig": {"targetLanguageCode": one("string"), "echoTargetLanguage": one("bool")},
    "AudioTranscriptionConfig": {
        "languageCodes": many("string"),
        "adaptationPhrases": many("string"),
        "customVocabulary": many("string"),
        "languageHints": one("LanguageHints"),
        "languageAuto": one("Empty"),
        "diarization": one("bool"),
        "wordTimestamp": one("bool"),
        "mode": enum("Mode", "MODE_UNSPECIFIED VERBATIM SMART"),
    },
    "LanguageHints": {"languageCodes": many("string")},
    "SafetySetting": {
        "category": enum("HarmCategory", prefixed("HARM_CATEGORY", _HARMS)),
        "threshold": enum(
            "HarmBlockThreshold",
            "HARM_BLOCK_THRESHOLD_UNSPECIFIED BLOCK_LOW_AND_ABOVE"
            " BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE OFF",
        ),
    },
    "Schema": {
        "type": enum("Type", "TYPE_UNSPECIFIED STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL"),
        **{name: one("string") for name in ("format", "title", "description", "pattern")},
        **{
            name: one("int64")
            for name in (
                "minLength",
                "maxLength",
                "minItems",
                "maxItems",
                "minProperties",
                "maxProperties",
            )
        },
        "minimum": one("float"),
        "maximum": one("float"),
        "nullable": one("bool"),
        "enum": many("string"),
        "required": many("string"),
        "propertyOrdering": many("string"),
        "default": one("any"),
        "example": one("any"),
        "items": one("Schema"),
        "anyOf": many("Schema"),
        "properties": mapping("Schema"),
    },
}

TOOLS: dict[str, dict[str, Field]] = {
    "Tool": {
        "functionDeclarations": many("FunctionDeclaration"),
        "codeExecution": one("Empty"),
        "googleSearch": one("GoogleSearch"),
        "googleSearchRetrieval": one("GoogleSearchRetrieval"),
        "urlContext": one("Empty"),
        "googleMaps": one("GoogleMaps"),
        "fileSearch": one("FileSearch"),
        "computerUse": one("ComputerUse"),
        "mcpServers": many("McpServer"),
    },
    "Empty": {},
    "FunctionDeclaration": {
        "name": one("string"),
        "description": one("string"),
        "parameters": one("Schema"),
        "parametersJsonSchema": one("any"),
        "response": one("Schema"),
        "responseJsonSchema": one("any"),
        "behavior": enum("Behavior", "UNSPECIFIED BLOCKING NON_BLOCKING"),
    },
    "GoogleSearch": {"searchTypes": one("SearchTypes"), "timeRangeFilter": one("Interval")},
    "SearchTypes": {"webSearch": one("Empty"), "imageSearch": one("Empty")},
    "Interval": {"startTime": one("time"), "endTime": one("time")},
    "GoogleSearchRetrieval": {"dynamicRetrievalConfig": one("DynamicRetrievalConfig")},
    "DynamicRetrievalConfig": {
        "mode": enum("Mode", "MODE_UNSPECIFIED MODE_DYNAMIC"),
        "dynamicThreshold": one("float"),
    },
    "GoogleMaps": {"enableWidget": one("bool")},
    "FileSearch": {
        "fileSearchStoreNames": many("string"),
        "topK": one("int32"),
        "metadataFilter": one("string"),
    },
    "ComputerUse": {
        "environment": enum(
            "Environment",
            "ENVIRONMENT_UNSPECIFIED ENVIRONMENT_BROWSER ENVIRONMENT_MOBILE ENVIRONMENT_DESKTOP",
        ),
        "excludedPredefinedFunctions": many("string"),
        "disabledSafetyPolicies": many("string"),
        "enablePromptInjectionDetection": one("bool"),
    },
    "McpServer": {"name": one("string"), "streamableHttpTransport": one("McpTransport")},
    "McpTransport": {
        "url": one("string"),
        "headers": mapping("string"),
        "timeout": one("duration"),
        "sseReadTimeout": one("duration"),
        "terminateOnClose": one("bool"),
    },
    "ToolConfig": {
        "functionCallingConfig": one("FunctionCallingConfig"),
        "retrievalConfig": one("RetrievalConfig"),
        "includeServerSideToolInvocations": one("bool"),
    },
    "FunctionCallingConfig": {
        "mode": enum("Mode", "MODE_UNSPECIFIED AUTO ANY NONE VALIDATED"),
        "allowedFunctionNames": many("string"),
    },
    "RetrievalConfig": {"languageCode": one("string"), "latLng": one("LatLng")},
    "LatLng": {"latitude": one("float"), "longitude": one("float")},
}
